"""An interrupted run continues from the last checkpoint whose digest is that of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol.commitment import Commitment, Schedule
from pol_jax.protocol.encoding import Digest
from pol_jax.protocol.rows import Row
from pol_jax.storage import ledger
from pol_jax.storage.checkpoints import checkpoint_steps, load_checkpoint, remove_unfinished
from pol_jax.storage.journal import recorded_rows
from pol_jax.storage.ledger import sealed_steps
from pol_jax.storage.proof import Proof
from pol_jax.training.states import Layout
from pol_jax.training.task import Task
from pol_jax.verifying.trusted_program import is_expected, names_of, trust


@dataclass(frozen=True)
class Resumption:
    """A resumption holds what an interrupted run left.

    Attributes:
        start: the step after which the run continues; -1 if not even the initial state has a checkpoint.
        state: the state after ``start``; None if that is -1.
        state_digest: the digest of that state.
        digests: the digests of the rows up to ``start``.
        sealed_to: the last step of the sealed segments; -1 if there are none.
        open: the rows after ``sealed_to`` and up to ``start``.
        after: the recorded rows after ``start``, with which the steps that are computed again are compared.
        damaged: checkpoints that were skipped, one line each.
    """

    start: int
    state: list[np.ndarray] | None
    state_digest: Digest | None
    digests: list[Digest]
    sealed_to: int
    open: list[Row]
    after: list[Row]
    damaged: list[str]


def find_resumption(root: Path, commitment: Commitment, layout: Layout, steps: int) -> Resumption:
    """Return what an interrupted run left in ``root``, after removing files that it was writing when it was killed.

    Raises:
        UsageError: the run has more than ``steps`` steps, or was ended at another step.
        ProofError: a sealed segment is damaged.
    """
    remove_unfinished(root)
    for leftover in (*root.glob("*.tmp"), *(root / ledger.DIRECTORY).glob("*.tmp")):
        leftover.unlink()
    schedule, sealed_to = commitment.schedule, sealed_steps(root)
    recorded = partial(recorded_rows, root, schedule.interval, sealed_to, commitment.row_layout)
    witnessed, digests = {}, []
    for row in recorded():
        digests.append(row.digest())
        witnessed[row.step] = row.state
    _check_length(root, schedule, sealed_to, len(digests) - 1, steps)
    start, state, damaged = _last_good(root, layout, witnessed)
    after = [row for row in recorded() if row.step > min(start, sealed_to)]
    return Resumption(
        start=start,
        state=state,
        state_digest=witnessed.get(start),
        digests=digests[: start + 1],
        sealed_to=sealed_to,
        open=[row for row in after if sealed_to < row.step <= start],
        after=[row for row in after if row.step > start],
        damaged=damaged,
    )


def check_same_program(proof: Proof, task: Task, steps: int) -> None:
    """Check that the task with which a run is continued still has the committed program.

    Raises:
        UsageError: its code was changed since the run began, or it depends on a number of steps that was changed.
    """
    expected = trust(task)(proof.commitment, steps)
    assert expected is not None  # noqa: S101  # a task is given
    if not is_expected(proof.artifacts(), names_of(proof.commitment), expected):
        raise UsageError(
            f"{proof.root}: the task's program is not the one with which this run began: its code, what it is made with"
            " (such as a learning rate), or the number of steps that it depends on was changed; undo that to continue"
            " the run, or start a new one in another directory"
        )


def _check_length(root: Path, schedule: Schedule, sealed_to: int, recorded: int, steps: int) -> None:
    if recorded > steps:
        raise UsageError(f"{root}: has {recorded} recorded steps, more than the {steps} asked for; ask for more steps")
    for step in (sealed_to, *checkpoint_steps(root)):
        if step >= 0 and not schedule.has_checkpoint(step, steps):
            raise UsageError(f"{root}: was ended at step {step}, and {steps} are asked for; start a new run for more")


def _last_good(
    root: Path, layout: Layout, witnessed: dict[int, Digest | None]
) -> tuple[int, list[np.ndarray] | None, list[str]]:
    """Return the last step whose checkpoint can be read and has the ledger's digest, its state, and damaged ones."""
    damaged = []
    for step in reversed([step for step in checkpoint_steps(root) if step in witnessed]):
        try:
            state = load_checkpoint(root, step, layout.spec)
        except ProofError as error:
            damaged.append(str(error))
            continue
        if layout.gather(state).digest() == witnessed[step]:
            return step, state, damaged
        damaged.append(f"checkpoint {step}: its digest is not the ledger's")
    return -1, None, damaged

"""An interrupted run continues from the last checkpoint whose digest is that of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import jax
import numpy as np

from pol_jax.errors import ProcessError, ProofError, UsageError
from pol_jax.protocol import merkle
from pol_jax.protocol.commitment import Commitment, Schedule
from pol_jax.protocol.encoding import Digest
from pol_jax.protocol.rows import Row
from pol_jax.proving.aim import preemption
from pol_jax.storage import ledger
from pol_jax.storage.checkpoint_names import checkpoint_name, checkpoint_steps
from pol_jax.storage.checkpoints import load_checkpoint, remove_unfinished
from pol_jax.storage.journal import recorded_rows
from pol_jax.storage.ledger import sealed_steps
from pol_jax.storage.open_run import Preempted
from pol_jax.storage.proof import Proof
from pol_jax.storage.stored_leaves import open_leaves
from pol_jax.training.processes import Processes
from pol_jax.training.shards import ShardedLayout
from pol_jax.training.states import HostState, Layout
from pol_jax.training.task import Task
from pol_jax.verifying.trusted_program import digest_names, is_expected, trust

_READ: Final = b"\0"
"""A message that begins so has the digests of a state that was read; any other is the text of an error."""


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
    state: Sequence[np.ndarray | jax.Array] | None
    state_digest: Digest | None
    digests: list[Digest]
    sealed_to: int
    open: list[Row]
    after: list[Row]
    damaged: list[str]


def find_resumption(root: Path, commitment: Commitment, layout: Layout, steps: int, processes: Processes) -> Resumption:
    """Return what an interrupted run left in ``root``, after removing files that it was writing when it was killed.

    Each process reads what it has of a state; together they compare its digest.

    Raises:
        ProcessError: another process has failed, or sees other files here.
        UsageError: the run has more than ``steps`` steps, or was ended at another step.
        ProofError: a sealed segment is damaged.
    """
    processes.first("what it has removed", lambda: _remove_leftovers(root))
    schedule, sealed_to = commitment.schedule, sealed_steps(root)
    recorded = partial(recorded_rows, root, schedule.interval, sealed_to, commitment.row_layout)
    witnessed, digests = {}, []
    for row in recorded():
        digests.append(row.digest())
        witnessed[row.step] = row.state
    noticed = preemption(root)
    _check_length(root, schedule, sealed_to, len(digests) - 1, steps, noticed)
    if noticed and noticed.step in witnessed:
        # A machine that was taken away left a checkpoint between two witnesses; the document of the run has its digest.
        witnessed[noticed.step] = witnessed[noticed.step] or bytes.fromhex(noticed.state)
    start, state, damaged = _last_good(root, layout, witnessed, processes)
    _agree_on_rows(processes, start, digests)
    # Read a second time: the rows of a long run are too many to be kept from the first.
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
    # By the same comparison as a verifier's: equal bytes, or equal text under another version of jax.
    expected = trust(task)(proof.commitment, steps)
    assert expected is not None  # noqa: S101  # a task is given
    if not is_expected(proof.artifacts(), digest_names(proof.commitment), expected):
        raise UsageError(
            f"{proof.root}: the task's program is not the one with which this run began: its code, what it is made with"
            " (such as a learning rate), or the number of steps that it depends on was changed; undo that to continue"
            " the run, or start a new one in another directory"
        )


def _remove_leftovers(root: Path) -> None:
    remove_unfinished(root)
    for leftover in (*root.glob("*.tmp"), *(root / ledger.DIRECTORY).glob("*.tmp")):
        leftover.unlink()


def _agree_on_rows(processes: Processes, start: int, digests: list[Digest]) -> None:
    """Refuse processes that have read other rows than the first one: their directories are not one and the same."""
    own = f"{start} {merkle.root(digests).hex() if digests else 'none'}".encode()

    def decide(every: Sequence[bytes]) -> bytes:
        for process, found in enumerate(every):
            if found != own:
                raise ProcessError(f"process {process} sees other files than process 0: the directory must be shared")
        return b""

    processes.agree("what it has read", own, decide)


def _check_length(
    root: Path, schedule: Schedule, sealed_to: int, recorded: int, steps: int, noticed: Preempted | None
) -> None:
    if recorded > steps:
        raise UsageError(f"{root}: has {recorded} recorded steps, more than the {steps} asked for; ask for more steps")
    for step in (sealed_to, *checkpoint_steps(root)):
        # The checkpoint of a machine that was taken away lies where the schedule has none.
        if noticed and step == noticed.step:
            continue
        if step >= 0 and not schedule.has_checkpoint(step, steps):
            raise UsageError(f"{root}: was ended at step {step}, and {steps} are asked for; start a new run for more")


def _last_good(
    root: Path, layout: Layout, witnessed: dict[int, Digest | None], processes: Processes
) -> tuple[int, Sequence[np.ndarray | jax.Array] | None, list[str]]:
    """Return the last step whose checkpoint can be read and has the ledger's digest, its state, and damaged ones."""
    damaged = list[str]()
    # The latest first. A checkpoint without a digest in the ledger can not be told from a damaged one.
    for step in reversed([step for step in checkpoint_steps(root) if step in witnessed]):
        state, message = _read(root, step, layout)
        problem = processes.agree(
            f"checkpoint {step}", message, partial(_problem, layout, step, witnessed[step])
        ).decode()
        if not problem and state is not None:
            return step, state.leaves, damaged
        damaged.append(problem)
    return -1, None, damaged


def _read(root: Path, step: int, layout: Layout) -> tuple[HostState | None, bytes]:
    """Return what this process has of a state, and its digests; or None, and why that can't be read."""
    try:
        if not isinstance(layout, ShardedLayout):
            state = layout.gather(load_checkpoint(root, step, layout.spec))
            return state, _READ + state.digest()
        stored = open_leaves(root, checkpoint_name(step), layout.spec)
        sharded = layout.fetch(layout.placement.put(layout.shapes, stored.read))
        return sharded, _READ + sharded.digest_pieces()
    except ProofError as error:
        return None, str(error).encode()


def _problem(layout: Layout, step: int, expected: Digest | None, messages: Sequence[bytes]) -> bytes:
    """Return why a checkpoint is none to continue from, from what all processes have read of it; nothing if it is."""
    for message in messages:
        if not message.startswith(_READ):
            return message
    read = [message.removeprefix(_READ) for message in messages]
    found = layout.combine(dict(enumerate(read))) if isinstance(layout, ShardedLayout) else read[0]
    return b"" if found == expected else f"checkpoint {step}: its digest is not the ledger's".encode()

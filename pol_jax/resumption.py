"""Where an interrupted run goes on: at the last checkpoint whose digest is the ledger's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pol_jax import ledger
from pol_jax.checkpoints import checkpoint_steps, load_checkpoint, remove_unfinished
from pol_jax.commitment import Schedule
from pol_jax.encoding import Digest
from pol_jax.errors import ProofError, UsageError
from pol_jax.journal import FILE as JOURNAL_FILE
from pol_jax.journal import read_journal
from pol_jax.ledger import Row, Segments, last_step, segment_file
from pol_jax.states import Layout


@dataclass(frozen=True)
class Resumption:
    """What an interrupted run left.

    Attributes:
        start: the step to go on from; -1 when not even ``init`` was recorded and checkpointed.
        state: the state after ``start``; None for -1.
        state_digest: its digest.
        digests: of the rows up to ``start``.
        sealed_to: the last step of the sealed segments; -1 if there are none.
        open: the rows after ``sealed_to`` and up to ``start``.
        after: the recorded rows after ``start``: what recomputed steps are compared with.
        damaged: checkpoints that were passed over, one line each.
    """

    start: int
    state: list[np.ndarray] | None
    state_digest: Digest | None
    digests: list[Digest]
    sealed_to: int
    open: list[Row]
    after: list[Row]
    damaged: list[str]


def find_resumption(root: Path, schedule: Schedule, layout: Layout, steps: int) -> Resumption:
    """Look at what an earlier run left in ``root``, and remove what a kill left half-written.

    Raises:
        UsageError: the earlier run went further than ``steps``, or was ended at another step.
        ProofError: a sealed segment is damaged.
    """
    remove_unfinished(root)
    for leftover in (*root.glob("*.tmp"), *(root / ledger.DIRECTORY).glob("*.tmp")):
        leftover.unlink()
    sealed_to = sealed_steps(root)
    witnessed, digests = {}, []
    for row in recorded_rows(root, schedule.interval, sealed_to):
        digests.append(row.digest())
        witnessed[row.step] = row.state
    _check_length(root, schedule, sealed_to, len(digests) - 1, steps)
    start, state, damaged = _last_good(root, layout, witnessed)
    after = [row for row in recorded_rows(root, schedule.interval, sealed_to) if row.step > min(start, sealed_to)]
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


def sealed_steps(root: Path) -> int:
    """The last step in the sealed segments, which are sealed in order; -1 if there are none."""
    count = 0
    while (root / segment_file(count)).exists():
        count += 1
    return last_step(root, count - 1) if count else -1


def recorded_rows(root: Path, interval: int, sealed_to: int) -> Iterator[Row]:
    """Sealed rows, then those of the journal that follow without a gap."""
    if sealed_to >= 0:
        yield from ledger.read_rows(root, Segments(sealed_to, interval))
    expected = sealed_to + 1
    for row in read_journal(root / JOURNAL_FILE):
        if row.step == expected:
            yield row
            expected += 1


def _check_length(root: Path, schedule: Schedule, sealed_to: int, recorded: int, steps: int) -> None:
    if recorded > steps:
        raise UsageError(f"{root}: has {recorded} recorded steps, more than the {steps} asked for; raise --steps")
    for step in (sealed_to, *checkpoint_steps(root)):
        if step >= 0 and not schedule.has_checkpoint(step, steps):
            raise UsageError(f"{root}: was ended at step {step}; got --steps {steps}; start a new run for more")


def _last_good(
    root: Path, layout: Layout, witnessed: dict[int, Digest | None]
) -> tuple[int, list[np.ndarray] | None, list[str]]:
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

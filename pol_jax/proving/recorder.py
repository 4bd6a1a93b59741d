"""Writes what the loop observes: ledger rows, checkpoints, sealed segments.

Order of writing at the end of a segment: the last row to the journal, then the checkpoint, then the sealed segment,
then the journal is cleared. A row is recorded only when all checkpoints before it are complete, so that a killed run
loses at most one interval of what it had recorded. A checkpoint that the proof is not to keep is removed last, when it
is no longer needed to go on from: the one after it is complete, and its segment sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pol_jax.errors import DivergenceError, StorageError
from pol_jax.protocol.commitment import Schedule
from pol_jax.protocol.encoding import Digest
from pol_jax.protocol.rows import Row, differing_columns
from pol_jax.protocol.spans import Segments
from pol_jax.proving.open_run import Aim
from pol_jax.proving.resumption import Resumption
from pol_jax.storage.checkpoints import checkpoint_steps, remove_checkpoint, save_checkpoint
from pol_jax.storage.journal import FILE as JOURNAL_FILE
from pol_jax.storage.journal import Journal
from pol_jax.storage.ledger import seal
from pol_jax.training.states import HostState, Layout


class Recorder:
    """An observer of the loop that writes a proof.

    A step that was recorded before must come out the same; it is compared, and not written again.

    Attributes:
        digests: the Merkle leaves of all rows so far.
        last_state: digest of the last witnessed state.
    """

    def __init__(
        self,
        root: Path,
        schedule: Schedule,
        layout: Layout,
        aim: Aim,
        resumption: Resumption,
        on_row: Callable[[Row], None] | None = None,
    ) -> None:
        """Record into ``root``, after what was found there.

        Args:
            root: the proof's directory.
            schedule: of the commitment.
            layout: of the state.
            aim: T, and which checkpoints are kept.
            resumption: what an earlier run left.
            on_row: told of every row when it is recorded.
        """
        self._root, self._schedule, self._layout, self._on_row = root, schedule, layout, on_row
        self._segments = Segments(aim.steps, schedule.interval)
        self._keeps = partial(aim.keeps, interval=schedule.interval)
        self._passing = {step for step in checkpoint_steps(root) if not self._keeps(step)}
        self._sealed_to = resumption.sealed_to
        self._known = {row.step: row for row in resumption.after}
        self._open = list(resumption.open)
        self.digests: list[Digest] = list(resumption.digests)
        self.last_state: Digest | None = resumption.state_digest
        unsealed = [row for row in resumption.after if row.step > self._sealed_to]
        self._journal = Journal(root / JOURNAL_FILE, [*self._open, *unsealed])
        if self._open and resumption.start > 0:  # killed between the checkpoint and the seal
            self._seal()
        self._thin(resumption.start)

    def __call__(self, row: Row, state: HostState | None) -> None:
        """Record one row; at the end of a segment, the checkpoint and the sealed segment too.

        Raises:
            DivergenceError: the step was recorded before, and came out otherwise.
            StorageError: it can't be written.
        """
        known = self._known.pop(row.step, None)
        if known is not None and _contradict(known, row):
            fields = ", ".join(differing_columns(known, row))
            raise DivergenceError(
                f"{self._root}: step {row.step}: recomputed {fields}: not what the ledger has; silent data corruption, "
                "or another machine than before. Nothing was overwritten; check the machine, or start a new run"
            )
        try:
            self._write(row, state, new=known is None)
        except OSError as error:
            raise StorageError(f"{self._root}: can't be written: {error.strerror or error}") from error
        if self._on_row:
            self._on_row(row)

    def close(self) -> None:
        """Close the journal; what was recorded stays."""
        self._journal.close()

    def remove_journal(self) -> None:
        """After the last step: everything is sealed."""
        self._journal.close()
        (self._root / JOURNAL_FILE).unlink(missing_ok=True)

    def _write(self, row: Row, state: HostState | None, *, new: bool) -> None:
        if new:
            self._journal.append(row)
        if row.step > self._sealed_to:
            self._open.append(row)
        self.digests.append(row.digest())
        self.last_state = row.state or self.last_state
        if state is not None and self._schedule.has_checkpoint(row.step, self._segments.steps):
            save_checkpoint(self._root, row.step, self._layout.spec, state.leaves)
            if row.step > max(0, self._sealed_to):
                self._seal()
            if not self._keeps(row.step):
                self._passing.add(row.step)
            self._thin(row.step)

    def _thin(self, step: int) -> None:
        """Remove what the proof is not to keep of the checkpoints before ``step``, now that this one is there."""
        for earlier in sorted(earlier for earlier in self._passing if earlier < step):
            remove_checkpoint(self._root, earlier)
            self._passing.remove(earlier)

    def _seal(self) -> None:
        last = self._open[-1].step
        seal(self._root, self._segments.of_step(last), self._open)
        self._journal.clear()
        self._sealed_to, self._open = last, []


def _contradict(known: Row, row: Row) -> bool:
    """Whether two rows of a step can't both be true; one without a digest was, or wasn't, the last of its run."""
    if known.state is None or row.state is None:
        return replace(known, state=None) != replace(row, state=None)
    return known != row

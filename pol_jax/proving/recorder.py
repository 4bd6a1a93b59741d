"""A recorder writes what the loop observes: ledger rows, checkpoints and sealed segments.

At the end of a segment, the order of writing is: the last row to the journal, the checkpoint, the sealed segment; then
the journal is cleared. A row is recorded only when all checkpoints before it are complete, so that a run that is killed
loses at most one interval. A checkpoint that the proof shall not keep is removed last, when the run can be continued
without it: the next checkpoint is complete, and its segment is sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pol_jax.errors import DivergenceError, StorageError
from pol_jax.protocol.commitment import Schedule
from pol_jax.protocol.encoding import Digest, row_digest
from pol_jax.protocol.rows import Row, differing_columns
from pol_jax.protocol.spans import Segments
from pol_jax.proving.aim import Aim
from pol_jax.proving.resumption import Resumption
from pol_jax.storage.checkpoint_names import checkpoint_steps
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.storage.checkpoints import remove_checkpoint
from pol_jax.storage.journal import FILE as JOURNAL_FILE
from pol_jax.storage.journal import Journal
from pol_jax.storage.ledger import seal
from pol_jax.training.states import HostState, Layout


class Recorder:
    """A recorder is an observer of the loop that writes a proof.

    A step that was recorded before an interruption must give the same row again. It is compared, and not written twice.

    Attributes:
        digests: the digests of all rows so far, which are leaves of the ledger's Merkle tree.
        last_state: digest of the last state that was digested.
    """

    def __init__(
        self,
        root: Path,
        schedule: Schedule,
        layout: Layout,
        aim: Aim,
        resumption: Resumption,
        on_row: Callable[[Row], None] | None = None,
        *,
        writes: bool = True,
    ) -> None:
        """Continue the records in ``root``.

        Args:
            root: the proof's directory.
            schedule: the schedule of the commitment.
            layout: the layout of the state.
            aim: the number of steps, and which checkpoints are kept.
            resumption: what an interrupted run left.
            on_row: called with every row when it is recorded.
            writes: whether this process writes the ledger; others compare rows, and save what they have of states.
        """
        self._root, self._schedule, self._on_row = root, schedule, on_row
        self._checkpoints = CheckpointWriter(root, layout.spec)
        self._segments = Segments(aim.steps, schedule.interval)
        self._keeps = partial(aim.keeps, interval=schedule.interval)
        # A run that was killed may have left checkpoints that its proof does not keep.
        self._passing = {step for step in checkpoint_steps(root) if not self._keeps(step)}
        self._sealed_to = resumption.sealed_to
        self._known = {row.step: row for row in resumption.after}
        self._open = list(resumption.open)
        self.digests: list[Digest] = list(resumption.digests)
        self.last_state: Digest | None = resumption.state_digest
        unsealed = [row for row in resumption.after if row.step > self._sealed_to]
        self._journal = Journal(root / JOURNAL_FILE, [*self._open, *unsealed]) if writes else None
        # The run was killed between the checkpoint and the seal, unless the checkpoint is that of a preemption.
        if self._open and resumption.start > 0 and schedule.has_checkpoint(resumption.start, aim.steps):
            self._seal()
        self._thin(resumption.start)

    def __call__(self, row: Row, state: HostState | None) -> None:
        """Record one row; at the end of a segment, write the checkpoint and the sealed segment too.

        Raises:
            DivergenceError: the step was recorded before, with a different row.
            StorageError: the row can't be written.
        """
        # A step that an interrupted run has recorded is executed again. Its row must be the same, bit for bit: else
        # memory or machine has changed something, and both rows can not be true.
        known = self._known.pop(row.step, None)
        if known is not None and _contradict(known, row):
            fields = ", ".join(differing_columns(known, row))
            raise DivergenceError(
                f"{self._root}: step {row.step}: recomputed {fields}: differs from the ledger. Data were corrupted, or "
                "this is another machine than before. Nothing was overwritten; check the machine, or start a new run"
            )
        try:
            self._write(row, state, new=known is None)
        except OSError as error:
            raise StorageError(f"{self._root}: can't be written: {error.strerror or error}") from error
        if self._on_row:
            self._on_row(row)

    def keep(self, step: int, state: HostState) -> None:
        """Write a checkpoint at any step, for a machine that is about to be taken away; the next one replaces it.

        Raises:
            StorageError: it can't be written.
        """
        # The schedule may have a checkpoint here, which the proof keeps.
        if step not in checkpoint_steps(self._root):
            self._checkpoints.save(step, state.leaves)
            self._passing.add(step)

    def drop_open_rows(self) -> None:
        """Remove the rows after the last sealed segment from the journal; the run is then continued before them."""
        if self._journal:
            self._journal.clear()

    def close(self) -> None:
        """Close the journal; everything that was recorded is kept."""
        if self._journal:
            self._journal.close()

    def remove_journal(self) -> None:
        """Remove the journal after the last step, when everything is sealed."""
        self.close()
        (self._root / JOURNAL_FILE).unlink(missing_ok=True)

    def _write(self, row: Row, state: HostState | None, *, new: bool) -> None:
        content = row.encode()
        if new and self._journal:
            self._journal.append(content)
        if row.step > self._sealed_to:
            self._open.append(row)
        self.digests.append(row_digest(content, row.layout.version))
        self.last_state = row.state or self.last_state
        # In this order a kill at any moment leaves a run that can go on (section 5.2).
        if state is not None and self._schedule.has_checkpoint(row.step, self._segments.steps):
            # The checkpoint comes before the seal: a run must be able to continue from the end of a sealed segment.
            self._checkpoints.save(row.step, state.leaves)
            # Row 0 is sealed with the first segment (section 5.1); what is sealed already stays as it is.
            if row.step > max(0, self._sealed_to):
                self._seal()
            if not self._keeps(row.step):
                self._passing.add(row.step)
            self._thin(row.step)

    def _thin(self, step: int) -> None:
        """Remove the checkpoints before ``step`` that the proof shall not keep, now that this one is complete."""
        for earlier in sorted(earlier for earlier in self._passing if earlier < step):
            if self._journal:
                remove_checkpoint(self._root, earlier)
            self._passing.remove(earlier)

    def _seal(self) -> None:
        last = self._open[-1].step
        if self._journal:
            seal(self._root, self._segments.of_step(last), self._open)
            self._journal.clear()
        self._sealed_to, self._open = last, []


def _contradict(known: Row, row: Row) -> bool:
    """Return whether two rows of the same step contradict each other.

    One of them may lack the state digest that the other has: the last row of a run always has it, and what was the last
    step before need not be the last one now.
    """
    if known.state is None or row.state is None:
        return replace(known, state=None) != replace(row, state=None)
    return known != row

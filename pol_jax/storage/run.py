"""A run is known by its documents and its ledger: these say what was trained, in which steps, and need no jax.

A run that is not finished has a journal of the open segment, and no claim yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

from pol_jax.errors import UsageError
from pol_jax.files import as_path
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Segments
from pol_jax.storage import ledger
from pol_jax.storage.checked_parts import CheckedParts
from pol_jax.storage.checkpoint_names import checkpoint_steps
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.journal import FILE as JOURNAL_FILE
from pol_jax.storage.journal import read_journal, recorded_rows
from pol_jax.storage.ledger import sealed_steps, segment_file
from pol_jax.storage.open_run import FILE as OPEN_RUN_FILE
from pol_jax.storage.reader import DIRECT, Reader
from pol_jax.storage.seen_digests import SeenDigests, seen_before


@dataclass(frozen=True, repr=False)
class Run:
    """A run is what a directory has of a training, finished or not.

    Attributes:
        root: the directory.
        commitment: the commitment.
        claim: the claim; None while the run is not finished.
        limits: how much may be read.
        seen: digests of what a verification has seen, with which all rows and states that are read are compared; None
            if there is nothing to compare with.
        parts: what a verification has in memory of what it has checked; it is not read again. None if nothing.
        reader: parses the ledger and the states, here or in a confined process.
    """

    root: Path
    commitment: Commitment
    claim: Claim | None
    limits: Limits = field(default_factory=Limits)
    seen: SeenDigests | None = None
    parts: CheckedParts | None = field(default=None, compare=False)
    reader: Reader = field(default=DIRECT, compare=False)

    def __repr__(self) -> str:
        """Return directory, task and number of steps in one line."""
        steps = f"{self.last_step} steps, not finished" if self.claim is None else f"{self.claim.steps} steps"
        kind = "Run" if type(self) is Run else "Proof"  # with its programs and states
        return f"<{kind} {str(self.root)!r}: {self.commitment.task.name!r}, {steps}>"

    @cached_property
    def segments(self) -> Segments:
        """Return how the recorded steps fall into segments."""
        return Segments(self.last_step if self.claim is None else self.claim.steps, self.commitment.schedule.interval)

    @cached_property
    def open_rows(self) -> list[Row]:
        """Return the rows that are not sealed yet."""
        if self.claim is not None:
            return []
        sealed, rows = self._sealed_to, list[Row]()
        for row in read_journal(self.root / JOURNAL_FILE, self.commitment.row_layout):
            # A crash between sealing and clearing leaves rows in the journal that are in a sealed segment already.
            if row.step == sealed + len(rows) + 1:
                rows.append(row)
        return rows

    @cached_property
    def last_step(self) -> int:
        """Return the last step that is recorded, or -1 if not even the initial state is."""
        if self.claim is not None:
            return self.claim.steps
        return self.open_rows[-1].step if self.open_rows else self._sealed_to

    @property
    def _sealed_to(self) -> int:
        """Return the last step in the sealed segments of a run that is not finished; it may go on meanwhile."""
        return sealed_steps(self.root, self.reader.last_step)

    def row(self, step: int) -> Row:
        """Return the ledger's row of one step, after reading one segment.

        Raises:
            UsageError: the run does not have the step.
            ProofError: the segment is damaged, or changed since it was checked.
        """
        if not 0 <= step <= self.last_step:
            raise UsageError(f"step {step}: expected a step from 0 to {self.last_step}")
        if self.open_rows and step >= self.open_rows[0].step:
            return self.open_rows[step - self.open_rows[0].step]
        # Through `rows_after`, which compares what it reads with what a verification has seen.
        if self.claim:
            return next(self.rows_after(step - 1))
        layout = self.commitment.row_layout
        return ledger.read_row(self.root, self.segments, step, layout, read=self.reader.segment)

    def rows(self) -> Iterator[Row]:
        """Yield all rows in order, with one segment in memory at a time."""
        if self.claim is None:
            interval, layout = self.commitment.schedule.interval, self.commitment.row_layout
            return recorded_rows(self.root, interval, self._sealed_to, layout, read=self.reader.segment)
        return self.rows_after(-1)

    def rows_after(self, step: int) -> Iterator[Row]:
        """Return the rows of a finished proof after that of ``step``, in order; the first segment is read now."""
        numbers = range(self.segments.of_step(step + 1), len(self.segments))
        read = (self.rows_of(number, step + 1) for number in numbers)
        return chain(next(read, ()), chain.from_iterable(read))

    def rows_of(self, segment: int, first: int = 0) -> Iterator[Row]:
        """Return the rows of a segment of a finished proof, from step ``first`` on; the segment is read now."""
        if self.parts and (kept := self.parts.rows(segment)) is not None:
            return (row for row in kept if row.step >= first)
        with seen_before() if self.seen else nullcontext():
            rows = self.reader.segment(self.root, segment, self.segments.rows(segment), self.commitment.row_layout)
        chosen = (row for row in rows if row.step >= first)
        return self.seen.check_rows(segment_file(segment), chosen) if self.seen else chosen

    def checkpoints(self) -> list[int]:
        """Return the steps that have a checkpoint, ascending."""
        return checkpoint_steps(self.root)


def open_run(path: Path | str, limits: Limits | None = None) -> Run:
    """Open the run in a directory, which reads its documents and nothing else.

    Raises:
        UsageError: there is no proof in the directory.
        ProofError: a document is damaged.
    """
    root, limits = as_path(path), limits or Limits()
    if not (root / commitments.FILE).exists():
        raise UsageError(f"{root}: there is no proof here; expected a directory with {commitments.FILE}")
    commitment = Commitment.parse(read_bounded(root, commitments.FILE, limits))
    claim = None
    if (root / claims.FILE).exists():
        claim = Claim.parse(read_bounded(root, claims.FILE, limits))
    return Run(root, commitment, claim, limits)


def check_finished(root: Path) -> None:
    """Check that a directory is not that of a run that goes on or was interrupted: that is no false proof.

    Raises:
        UsageError: it is; the text says how it is continued.
    """
    began = (root / commitments.FILE).exists() and not (root / inventory.FILE).exists()
    if began and any((root / name).exists() for name in (OPEN_RUN_FILE, JOURNAL_FILE)):
        raise UsageError(
            f"{root}: is a run that is not finished; the command or code that began it also continues it, and the"
            " proof can be verified when all steps are done"
        )

"""Commands look into proofs of others too: a confined process parses their ledgers and states, as for a verification.

The caller's process opens a proof's JSON documents and nothing else of it that needs a parser of a library. What the
confined process sends are the bytes of rows and leaves, of the sizes that the commitment has. It is started when
something is read for the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np

from pol_jax.errors import BackendError, PolError, ProofError, UsageError, printable
from pol_jax.protocol.rows import Row, RowLayout, decode_row
from pol_jax.protocol.trees import DTYPES, LeafSpec, StateSpec
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.process import Process, ProcessLost
from pol_jax.sandbox.reading_messages import (
    ErrorRaised,
    FromReading,
    LastStepRead,
    LeafRead,
    ReadingSetup,
    ReadLastStep,
    ReadLeaves,
    ReadSegment,
    RowsRead,
    ToReading,
    decode_from_reading,
)
from pol_jax.sandbox.starting import reading_process

_BOUNDS: Final = Bounds()

_MOST_BYTES: Final = 2**25
"""The largest message that is read: a row may be larger than what is sent at once by half."""


class ConfinedReader:
    """This reader has a confined process read the proof in one directory (`pol_jax.storage.reader.Reader`)."""

    def __init__(self, root: Path, memory_bytes: int | None, resources: ExitStack) -> None:
        """Read the proof in ``root``, with a process that may take so much memory and ends with ``resources``."""
        self._root, self._memory_bytes, self._resources = root.resolve(), memory_bytes, resources
        self._started: Process | None = None

    def segment(self, root: Path, segment: int, expected: range, layout: RowLayout) -> list[Row]:
        """Return the rows of a segment of the ledger."""
        self._ask(
            root, ReadSegment(segment, expected.start, expected.stop, layout.metrics, layout.loss, layout.version)
        )
        rows, is_last = list[Row](), False
        while not is_last:
            found = self._receive()
            if not isinstance(found, RowsRead):
                raise _lost("sent something else than rows")
            rows += [_row(content, layout) for content in found.rows]
            # More rows than were asked for are an answer too: the loop ends, and the comparison below refuses them.
            is_last = found.is_last or len(rows) > len(expected)
        # The parser may be taken over; what it sends is compared with what was asked for, and its digests are checked
        # later.
        if [row.step for row in rows] != list(expected):
            raise _lost("sent other rows than those that it was asked for")
        return rows

    def last_step(self, root: Path, segment: int) -> int:
        """Return the last step of a segment as its file says."""
        self._ask(root, ReadLastStep(segment))
        found = self._receive()
        if not isinstance(found, LastStepRead):
            raise _lost("sent something else than a step")
        return found.step

    def leaves(self, root: Path, where: str, spec: StateSpec) -> list[np.ndarray]:
        """Return the leaves in a directory of the proof."""
        self._ask(root, ReadLeaves(where, spec))
        return [self._leaf(leaf) for leaf in spec]

    def _leaf(self, leaf: LeafSpec) -> np.ndarray:
        content = bytearray()  # it grows with what comes: the commitment may tell of more than there is
        while len(content) < leaf.nbytes:
            found = self._receive()
            # No more than the commitment says: a process that was taken over could send without an end.
            if not isinstance(found, LeafRead) or not 0 < len(found.content) <= leaf.nbytes - len(content):
                raise _lost("sent something else than the leaves of a state")
            content += found.content
        array = np.frombuffer(content, DTYPES[leaf.dtype]) if content else np.empty(0, DTYPES[leaf.dtype])
        return array.reshape(leaf.shape)

    def _ask(self, root: Path, question: ToReading) -> None:
        assert root.resolve() == self._root, root  # noqa: S101  # it may read no other proof
        if self._started is None:
            self._started = self._resources.enter_context(reading_process(str(self._root)))
            self._started.send(ReadingSetup(str(self._root), self._memory_bytes))
        try:
            self._started.send(question, monotonic() + _BOUNDS.silence_seconds)
        except ProcessLost as lost:
            raise _lost(str(lost)) from lost

    def _receive(self) -> FromReading:
        assert self._started is not None  # noqa: S101  # it was asked
        try:
            found = self._started.receive(decode_from_reading, _BOUNDS, most=_MOST_BYTES)
        except ProcessLost as lost:
            raise _lost(str(lost)) from lost
        if isinstance(found, ErrorRaised):
            raise _error(found)
        return found


@contextmanager
def confined_reader(root: Path, memory_bytes: int | None) -> Iterator[ConfinedReader]:
    """Return a reader of the proof in ``root``, whose process ends in the end."""
    with ExitStack() as resources:
        yield ConfinedReader(root, memory_bytes, resources)


def _row(content: bytes, layout: RowLayout) -> Row:
    row = decode_row(content, layout)
    if row is None:
        raise _lost("sent no row")
    return row


def _lost(what: str) -> BackendError:
    return BackendError(f"the process that reads the proof {what}")


def _error(raised: ErrorRaised) -> PolError:
    """Return the error that reading raised; of the classes that it may raise, and of no other."""
    text = printable(raised.text)
    if raised.kind == "ProofError":
        where, _, problem = text.partition(": ")
        return ProofError(where, problem)
    return UsageError(text) if raised.kind == "UsageError" else BackendError(text)

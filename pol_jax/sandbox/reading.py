"""The confined side of `pol_jax.sandbox.reader`: it parses what it is asked for, and sends it as plain bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from pol_jax.errors import PolError
from pol_jax.protocol.rows import Row, RowLayout
from pol_jax.sandbox.bounds import limit_memory, limit_resources
from pol_jax.sandbox.lifetime import exit_with
from pol_jax.sandbox.reading_messages import (
    MOST_ROWS,
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
    decode_to_reading,
)
from pol_jax.storage.reader import DIRECT

AT_ONCE: Final = 2**22
"""About this many bytes are in a message: the other side hears from this process while it sends much."""


def serve(handle: int, caller: int, unrestricted: Sequence[str]) -> None:
    """Answer what is asked on an inherited pipe, until it is closed; what runs in the reading process.

    Args:
        handle: of the pipe.
        caller: process that asks; when it is gone, so is this one.
        unrestricted: what this process could do although it should not; a command that only reads shows it nowhere.
    """
    exit_with(caller)
    with Connection(handle) as connection, suppress(EOFError):
        setup = msgspec.msgpack.decode(connection.recv_bytes(), type=ReadingSetup)
        limit_resources()
        limit_memory(setup.memory_bytes)
        while True:
            for message in _answer(Path(setup.root), decode_to_reading(connection.recv_bytes())):
                connection.send_bytes(msgspec.msgpack.encode(message))


def _answer(root: Path, asked: ToReading) -> Iterator[FromReading]:
    """Yield the messages that answer a question; an error of this package is one."""
    try:
        match asked:
            case ReadSegment():
                layout = RowLayout(asked.metrics, asked.loss, asked.version)
                yield from _rows(DIRECT.segment(root, asked.segment, range(asked.start, asked.stop), layout))
            case ReadLastStep():
                yield LastStepRead(DIRECT.last_step(root, asked.segment))
            case ReadLeaves():
                yield from _leaves(DIRECT.leaves(root, asked.where, asked.spec))
    except PolError as error:
        yield ErrorRaised(type(error).__name__, str(error))
    # Told apart from a damaged proof: the reader's machine is too small, which says nothing about the proof.
    except MemoryError:
        yield ErrorRaised("BackendError", "this machine can't read the proof: out of memory")


def _rows(rows: Sequence[Row]) -> Iterator[RowsRead]:
    batch, size = list[bytes](), 0
    for row in rows:
        content = row.encode()
        batch.append(content)
        size += len(content)
        if size >= AT_ONCE or len(batch) == MOST_ROWS:
            yield RowsRead(batch, False)
            batch, size = [], 0
    yield RowsRead(batch, True)


def _leaves(leaves: Sequence[np.ndarray]) -> Iterator[LeafRead]:
    for leaf in leaves:
        content = np.ascontiguousarray(leaf).reshape(-1).view(np.uint8)
        for begin in range(0, len(content), AT_ONCE):
            yield LeafRead(content[begin : begin + AT_ONCE].tobytes())

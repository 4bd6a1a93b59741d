"""The confined side of a reader answers with plain bytes, in messages of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny
from in_process import reading_thread

from pol_jax.sandbox import reading
from pol_jax.sandbox.process import Process
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
    decode_from_reading,
)
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import open_proof


@pytest.fixture
def reader(plain_proof: Path) -> Iterator[Process]:
    """The process that reads the proof, as a thread."""
    with reading_thread(str(plain_proof)) as process:
        process.send(ReadingSetup(str(plain_proof), None))
        yield process


def told(reader: Process) -> FromReading:
    return decode_from_reading(reader.connection.recv_bytes())


def segment(number: int, start: int, stop: int) -> ReadSegment:
    return ReadSegment(number, start, stop, ("loss", "norm"), "loss", "pol-jax/2")


def test_rows_come_in_batches(reader: Process, plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 4)
    rows = [row.encode() for row in open_proof(plain_proof).rows()][7:13]
    reader.send(segment(1, 7, 13))
    assert [told(reader), told(reader)] == [RowsRead(rows[:4], False), RowsRead(rows[4:], True)]


def test_leaves_come_in_pieces(reader: Process, plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 100)
    proof = open_proof(plain_proof)
    leaves = b"".join(np.asarray(leaf).tobytes() for leaf in proof.host_leaves(6))
    reader.send(ReadLeaves(checkpoint_name(6), proof.commitment.state))
    found = b""
    while len(found) < len(leaves):
        message = told(reader)
        assert isinstance(message, LeafRead)
        assert 0 < len(message.content) <= 100
        found += message.content
    assert found == leaves


def test_an_error_is_an_answer_and_the_next_question_is_answered_too(reader: Process) -> None:
    reader.send(segment(9, 54, 60))
    message = told(reader)
    assert isinstance(message, ErrorRaised)
    assert message.kind == "ProofError"
    reader.send(ReadLastStep(3))
    assert told(reader) == LastStepRead(tiny.STEPS)


def test_a_machine_that_is_too_small_says_nothing_about_the_proof(
    reader: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def last_step(self, *_: object) -> int:
            raise MemoryError

    monkeypatch.setattr(reading, "DIRECT", Full())
    reader.send(ReadLastStep(3))
    assert told(reader) == ErrorRaised("BackendError", "this machine can't read the proof: out of memory")


def test_messages_are_plain() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(LeafRead(b"x"))) == {"type": "leaf_read", "content": b"x"}

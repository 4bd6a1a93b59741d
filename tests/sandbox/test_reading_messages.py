"""Messages between a command and the process that reads for it keep their content, and no others are taken."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.protocol.trees import LeafSpec
from pol_jax.sandbox.reading_messages import (
    MOST_ROWS,
    ErrorRaised,
    FromReading,
    LastStepRead,
    LeafRead,
    ReadLastStep,
    ReadLeaves,
    ReadSegment,
    RowsRead,
    ToReading,
    decode_from_reading,
    decode_to_reading,
)

QUESTIONS: list[ToReading] = [
    ReadSegment(1, 6, 12, ("loss",), "loss", "pol-jax/2"),
    ReadLastStep(3),
    ReadLeaves("checkpoints/0000000006", (LeafSpec("/w", "float32", (2, 3), (1, 1), None),)),
]
ANSWERS: list[FromReading] = [
    RowsRead([b"row", b""], True),
    LastStepRead(7),
    LeafRead(b"\0\1"),
    ErrorRaised("ProofError", "it: is damaged"),
]


def test_messages_keep_their_content() -> None:
    for question in QUESTIONS:
        assert decode_to_reading(msgspec.msgpack.encode(question)) == question
    for answer in ANSWERS:
        assert decode_from_reading(msgspec.msgpack.encode(answer)) == answer


def test_neither_side_takes_messages_of_the_other() -> None:
    for answer in ANSWERS:
        with pytest.raises(msgspec.ValidationError):
            decode_to_reading(msgspec.msgpack.encode(answer))
    for question in QUESTIONS:
        with pytest.raises(msgspec.ValidationError):
            decode_from_reading(msgspec.msgpack.encode(question))


def test_a_message_has_a_bounded_number_of_rows() -> None:
    assert decode_from_reading(msgspec.msgpack.encode(RowsRead([b""] * MOST_ROWS, False)))
    with pytest.raises(msgspec.ValidationError):
        decode_from_reading(msgspec.msgpack.encode(RowsRead([b""] * (MOST_ROWS + 1), False)))

"""The messages between a command and the confined process that parses files of a proof for it.

They are MessagePack, decoded strictly, like those of a verification (`pol_jax.sandbox.messages`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

import msgspec

from pol_jax.protocol.encoding import Format
from pol_jax.protocol.trees import StateSpec

MOST_ROWS: Final = 2**16
"""One message has at most this many rows."""


class ErrorRaised(msgspec.Struct, frozen=True, tag="error_raised"):
    """Any process of ours ends with this message, if an error of this package was raised; it names the class."""

    kind: str
    text: str


class ReadingSetup(msgspec.Struct, frozen=True, tag="reading_setup"):
    """The reading process is told first of all the proof's directory, and the memory that it may take."""

    root: str
    memory_bytes: int | None


class ReadSegment(msgspec.Struct, frozen=True, tag="read_segment"):
    """The reading process is asked for the rows of a segment, which must be those of the steps from start to stop.

    Attributes:
        segment: its number.
        start: the first step.
        stop: the step after the last one.
        metrics: names of the metrics of a row.
        loss: the one that is the loss.
        version: of the commitment.
    """

    segment: int
    start: int
    stop: int
    metrics: tuple[str, ...]
    loss: str
    version: Format


class ReadLastStep(msgspec.Struct, frozen=True, tag="read_last_step"):
    """The reading process is asked for the last step that the file of a segment has."""

    segment: int


class ReadLeaves(msgspec.Struct, frozen=True, tag="read_leaves"):
    """The reading process is asked for the leaves in a directory of the proof, which must be these."""

    where: str
    spec: StateSpec


class RowsRead(msgspec.Struct, frozen=True, tag="rows_read"):
    """The reading process sends the next rows, as the bytes that are hashed, and whether they are the last."""

    rows: Annotated[list[bytes], msgspec.Meta(max_length=MOST_ROWS)]
    is_last: bool


class LastStepRead(msgspec.Struct, frozen=True, tag="last_step_read"):
    """The reading process sends the last step."""

    step: int


class LeafRead(msgspec.Struct, frozen=True, tag="leaf_read"):
    """The reading process sends the next bytes of the leaves, each from its beginning and in their order."""

    content: bytes


ToReading: TypeAlias = ReadSegment | ReadLastStep | ReadLeaves
FromReading: TypeAlias = RowsRead | LastStepRead | LeafRead | ErrorRaised


decode_to_reading: Callable[[bytes], ToReading] = msgspec.msgpack.Decoder(ToReading).decode
decode_from_reading: Callable[[bytes], FromReading] = msgspec.msgpack.Decoder(FromReading).decode
"""These functions return the message of the other side; they raise for any other bytes."""

"""An opening: what the prover reveals for challenged steps. One file; checkable with the claim and nothing else.

States before and after, the records with inclusion proofs to the dataset root, the ledger rows with inclusion proofs.
Anything in it is hostile until `pol_jax.opening_checks` has held it against the claim.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pol_jax.commitment import Schedule
from pol_jax.encoding import FORMAT
from pol_jax.errors import ProofError, UsageError, unreadable
from pol_jax.inventory import Limits

Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Path32 = Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=64)]
"""An inclusion proof: siblings from the leaf to the root."""


class OpenedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the ledger as it is hashed, and its inclusion proof to the claim's ledger root."""

    row: bytes
    path: Path32


class OpenedState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state: the step after which it was, and the array bytes of its leaves in the order of the commitment."""

    step: Annotated[int, msgspec.Meta(ge=0)]
    leaves: tuple[bytes, ...]


class OpenedRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record: its place in the source, salt if the data are private, array bytes, proof to the dataset's root."""

    index: Annotated[int, msgspec.Meta(ge=0)]
    salt: Bytes32 | None
    leaves: tuple[bytes, ...]
    path: Path32


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file; see ``docs/protocol.md``.

    Attributes:
        format: version of the format.
        claim: digest of the claim that this opens.
        commitment: the document's bytes.
        init: the artifact of ``init``.
        step: the artifact of ``step``.
        rows: ascending by step, none twice; likewise the others.
        states: ascending by step.
        records: ascending by index.
    """

    format: Literal["pol-jax/1"]
    claim: Bytes32
    commitment: bytes
    init: bytes
    step: bytes
    rows: tuple[OpenedRow, ...]
    states: tuple[OpenedState, ...]
    records: tuple[OpenedRecord, ...]

    def encode(self) -> bytes:
        """The file's bytes: MessagePack, every number and length in its shortest form, fields in this order."""
        return msgspec.msgpack.encode(self)


@dataclass(frozen=True, order=True)
class Span:
    """The least run of steps around a challenged one whose ends have state digests in the ledger.

    One step, where the ledger has a digest in every row.

    Attributes:
        start: the step of the state that it begins with.
        stop: its last step.
    """

    start: int
    stop: int

    @property
    def steps(self) -> range:
        """The steps that are executed."""
        return range(self.start + 1, self.stop + 1)


def spans(schedule: Schedule, steps: Iterable[int], last: int) -> list[Span]:
    """The spans of challenged steps (1 to ``last``), ascending, none twice.

    Raises:
        UsageError: a step that the run doesn't have.
    """
    return sorted({_span(schedule, step, last) for step in steps})


def _span(schedule: Schedule, step: int, last: int) -> Span:
    if not 1 <= step <= last:
        raise UsageError(f"step {step}: the run has steps 1 to {last}")
    start, stop = step - 1, step
    while not schedule.has_witness(start, last):
        start -= 1
    while not schedule.has_witness(stop, last):
        stop += 1
    return Span(start, stop)


def read_opening(path: Path, limits: Limits) -> Opening:
    """The opening in a file of bounded size. Law: ``read_opening`` of ``Opening.encode`` gives the opening back.

    Raises:
        UsageError: there is no such file.
        ProofError: no opening, larger than ``limits``, or not in its one canonical form.
    """
    name = path.name
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path}: no plain file; expected what pol open writes")
            content = file.read(min(status.st_size, limits.opening_bytes) + 1)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; expected what pol open writes") from None
    except OSError as error:
        raise unreadable(name, f"can't be read: {error.strerror}", error) from error
    if len(content) > limits.opening_bytes:
        raise ProofError(name, f"has more than {limits.opening_bytes} bytes")
    return parse_opening(content, name)


def parse_opening(content: bytes, where: str) -> Opening:
    """The opening in ``content``.

    Raises:
        ProofError: not an opening, or not in its one canonical form.
    """
    try:
        found = msgspec.msgpack.decode(content, type=Opening)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProofError(where, f"is no opening: {error}") from None
    if found.encode() != content:
        raise ProofError(where, "is not in canonical form; expected shortest numbers and the fields in order")
    return found


assert FORMAT == "pol-jax/1", "the Literal types above name the format"  # noqa: S101

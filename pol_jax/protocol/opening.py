"""An opening is what the prover reveals for challenged steps (docs/protocol.md, section 14).

It is one file, which can be checked with the claim and nothing else: it holds the states before and after the steps,
their records with inclusion proofs to the root of the data set, and their ledger rows with inclusion proofs. Nothing
in it may be trusted before `pol_jax.verifying.opening_checks` has compared it with the claim.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.decisions import StepDecisions, check_decisions
from pol_jax.protocol.encoding import FORMAT_1, Format
from pol_jax.protocol.keys import MAX_STEPS

Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Path32 = Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=64)]
"""An inclusion proof holds the siblings from the leaf to the root."""

Parts = tuple[bytes, ...]
"""The bytes of a leaf come in parts of `PART_BYTES`; the last may be shorter, and a leaf without bytes has none."""

PART_BYTES: Final = 2**30
"""A byte string of MessagePack ends below 2^32 bytes, and libraries have limits below that."""

_HEAD_1: Final = b"\x88\xa6format\xa9pol-jax/1"
"""An opening of version 1 begins with these bytes, and no other one does."""

_HEAD_2: Final = re.compile(
    rb"\x8a\xa6format\xa9pol-jax/2\xa5claim\xc4 .{32}\xaacommitment(?:\xc4(.)|\xc5(..)|\xc6(....))", re.DOTALL
)
"""An opening of version 2 begins so: before the bytes of the commitment stands their number."""


class OpenedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An opened row holds the bytes of a ledger row, as they are hashed, and its inclusion proof to the ledger root."""

    row: bytes
    path: Path32


class OpenedState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An opened state holds the step that it follows, and the bytes of its leaves in the order of the commitment."""

    step: Annotated[int, msgspec.Meta(ge=0)]
    leaves: tuple[bytes, ...]


class OpenedRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An opened record holds the bytes of a record's leaves, and what proves that they are the committed ones.

    Attributes:
        index: place of the record in the source.
        salt: the record's salt if the data are private, else None.
        leaves: the array bytes of its leaves.
        path: inclusion proof to the root of the data set.
    """

    index: Annotated[int, msgspec.Meta(ge=0)]
    salt: Bytes32 | None
    leaves: tuple[bytes, ...]
    path: Path32


class OpenedIntervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An opened intervention holds the leaves that took the place of those of a state, after a step of a span.

    Attributes:
        after: the step.
        leaves: the array bytes of the leaves that the claim names for this step.
    """

    after: Annotated[int, msgspec.Meta(ge=0, le=MAX_STEPS)]
    leaves: tuple[bytes, ...]


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An opening is one file, for challenged steps of one run.

    Attributes:
        format: version of the format.
        claim: digest of the claim of the run.
        commitment: bytes of the document ``commitment.json``.
        init: the exported program ``init``.
        step: the exported program ``step``.
        rows: opened rows, ascending by step, none twice.
        states: opened states, ascending by step, none twice.
        records: opened records, ascending by index, none twice.
        interventions: those after which steps of a span begin, ascending by step; none in version 1.
        decisions: of steps of spans, ascending by step, at most one for each; none in version 1.
    """

    format: Format
    claim: Bytes32
    commitment: bytes
    init: bytes
    step: bytes
    rows: tuple[OpenedRow, ...]
    states: tuple[OpenedState, ...]
    records: tuple[OpenedRecord, ...]
    interventions: tuple[OpenedIntervention, ...] = ()
    decisions: tuple[StepDecisions, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes of the file: MessagePack with every number and length in its shortest form."""
        common = (self.claim, self.commitment, self.init, self.step, self.rows)
        if self.format == FORMAT_1:
            return msgspec.msgpack.encode(_Opening1(FORMAT_1, *common, self.states, self.records))
        states = tuple(_StoredState(each.step, _split(each.leaves)) for each in self.states)
        interventions = tuple(_StoredIntervention(each.after, _split(each.leaves)) for each in self.interventions)
        stored = _Opening2("pol-jax/2", *common, states, self.records, interventions, self.decisions)
        return msgspec.msgpack.encode(stored)


class _Opening1(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An opening of version 1, as it is stored."""

    format: Literal["pol-jax/1"]
    claim: Bytes32
    commitment: bytes
    init: bytes
    step: bytes
    rows: tuple[OpenedRow, ...]
    states: tuple[OpenedState, ...]
    records: tuple[OpenedRecord, ...]


class _StoredState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    step: Annotated[int, msgspec.Meta(ge=0)]
    leaves: tuple[Parts, ...]


class _StoredIntervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[int, msgspec.Meta(ge=0, le=MAX_STEPS)]
    leaves: tuple[Parts, ...]


class _Opening2(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An opening of version 2, as it is stored."""

    format: Literal["pol-jax/2"]
    claim: Bytes32
    commitment: bytes
    init: bytes
    step: bytes
    rows: tuple[OpenedRow, ...]
    states: tuple[_StoredState, ...]
    records: tuple[OpenedRecord, ...]
    interventions: tuple[_StoredIntervention, ...]
    decisions: tuple[StepDecisions, ...]


def parse_opening(content: bytes, where: str) -> Opening:
    """Return the opening that ``content`` holds.

    Raises:
        ProofError: ``content`` is no opening, or not in the one canonical form of an opening.
    """
    try:
        # By the first bytes, so that a file is decoded by one type, and never by whichever happens to fit.
        if content.startswith(_HEAD_1):
            opening = _from_stored_1(msgspec.msgpack.decode(content, type=_Opening1))
        else:
            opening = _from_stored(msgspec.msgpack.decode(content, type=_Opening2))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProofError(where, f"is no opening: {error}") from None
    if opening.encode() != content:  # an opening has one form: whatever is accepted would be written as the same bytes
        raise ProofError(where, "is not in canonical form; expected shortest numbers and the fields in order")
    check_decisions(opening.decisions, where)
    return opening


def commitment_at_the_head(head: bytes) -> bytes | None:
    """Return the commitment that an opening begins with, whose first bytes are ``head``, or None if it is not there.

    Nothing is checked: it is for who must know of the mesh before jax starts, and only `parse_opening` says what is in
    an opening. Version 1 has no mesh, and gives None.
    """
    begun = _HEAD_2.match(head)
    if begun is None:
        return None
    # MessagePack writes lengths in big-endian order, unlike the protocol itself.
    end = begun.end() + int.from_bytes(next(filter(None, begun.groups())), "big")
    return head[begun.end() : end] if end <= len(head) else None


def _from_stored_1(stored: _Opening1) -> Opening:
    return Opening(*(getattr(stored, name) for name in stored.__struct_fields__))


def _from_stored(stored: _Opening2) -> Opening:
    fields = {name: getattr(stored, name) for name in stored.__struct_fields__}
    states = tuple(OpenedState(each.step, _joined(each.leaves)) for each in stored.states)
    interventions = tuple(OpenedIntervention(each.after, _joined(each.leaves)) for each in stored.interventions)
    return Opening(**{**fields, "states": states, "interventions": interventions})


def _joined(leaves: tuple[Parts, ...]) -> tuple[bytes, ...]:
    return tuple(parts[0] if len(parts) == 1 else b"".join(parts) for parts in leaves)


def _split(leaves: tuple[bytes, ...]) -> tuple[Parts, ...]:
    """Return the parts of each leaf; a leaf that is no longer than a part is not copied."""
    return tuple(
        (leaf,)
        if 0 < len(leaf) <= PART_BYTES
        else tuple(leaf[at : at + PART_BYTES] for at in range(0, len(leaf), PART_BYTES))
        for leaf in leaves
    )

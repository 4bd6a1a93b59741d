"""An opening is what the prover reveals for challenged steps (docs/protocol.md, section 14).

It is one file, which can be checked with the claim and nothing else: it holds the states before and after the steps,
their records with inclusion proofs to the root of the data set, and their ledger rows with inclusion proofs. Nothing
in it may be trusted before `pol_jax.verifying.opening_checks` has compared it with the claim.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.encoding import FORMAT

Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Path32 = Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=64)]
"""An inclusion proof holds the siblings from the leaf to the root."""


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
        """Return the bytes of the file: MessagePack with every number and length in its shortest form."""
        return msgspec.msgpack.encode(self)


def parse_opening(content: bytes, where: str) -> Opening:
    """Return the opening that ``content`` holds.

    Raises:
        ProofError: ``content`` is no opening, or not in the one canonical form of an opening.
    """
    try:
        opening = msgspec.msgpack.decode(content, type=Opening)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProofError(where, f"is no opening: {error}") from None
    if opening.encode() != content:  # an opening has one form: whatever is accepted would be written as the same bytes
        raise ProofError(where, "is not in canonical form; expected shortest numbers and the fields in order")
    return opening


assert FORMAT == "pol-jax/1", "the Literal types above name the format"  # noqa: S101

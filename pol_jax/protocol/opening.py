"""An opening: what the prover reveals for challenged steps. One file; checkable with the claim and nothing else.

States before and after, the records with inclusion proofs to the dataset root, the ledger rows with inclusion proofs.
Anything in it is hostile until `pol_jax.verifying.opening_checks` has held it against the claim.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.encoding import FORMAT

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

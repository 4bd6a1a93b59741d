"""What the prover claims after the last step. It covers meanings, not files: the same run gives the same claim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.documents import HexDigest, decode, encode
from pol_jax.encoding import Digest, document_digest
from pol_jax.environment import Environment
from pol_jax.errors import UsageError
from pol_jax.keys import MAX_STEPS

FILE: Final = "claim.json"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document; see ``docs/protocol.md``.

    Attributes:
        format: version of the format.
        commitment: digest of the commitment.
        ledger_root: Merkle root over the ledger's rows, 0 to ``steps``.
        steps: T, the number of steps trained.
        final_state: digest of the state after the last step.
        environment: where it ran.
    """

    format: Literal["pol-jax/1"]
    commitment: HexDigest
    ledger_root: HexDigest
    steps: Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]
    final_state: HexDigest
    environment: Environment

    def digest(self) -> Digest:
        """Digest of the canonical document: what is signed and timestamped, and what a challenge is drawn from."""
        return document_digest("claim", encode(self))

    @classmethod
    def parse(cls, content: bytes) -> Claim:
        """The claim in ``content``.

        Raises:
            ProofError: names the field.
        """
        return decode(content, cls, FILE)


def find_claim(path: Path) -> Path:
    """The claim's file: ``path``, or the one in the directory ``path``.

    Raises:
        UsageError: there is none.
    """
    where = path / FILE if path.is_dir() else path
    if not where.is_file():
        raise UsageError(f"{where}: no claim here; expected a claim.json, or a directory that has one")
    return where

"""A claim is what the prover states after the last step (docs/protocol.md, section 2.2).

It covers meanings and not files: the same run always gives the same claim.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from pol_jax.protocol.documents import HexDigest, decode, encode
from pol_jax.protocol.encoding import Digest, document_digest
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.keys import MAX_STEPS

FILE: Final = "claim.json"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim is the document ``claim.json``.

    Attributes:
        format: version of the format.
        commitment: digest of the commitment.
        ledger_root: Merkle root over the ledger's rows, 0 to ``steps``.
        steps: T, the number of steps trained.
        final_state: digest of the state after the last step.
        environment: where the run was made, as the prover says.
    """

    format: Literal["pol-jax/1"]
    commitment: HexDigest
    ledger_root: HexDigest
    steps: Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]
    final_state: HexDigest
    environment: Environment

    def digest(self) -> Digest:
        """Return the digest of the canonical document; it decides which segments a random challenge draws."""
        return document_digest("claim", encode(self))

    @classmethod
    def parse(cls, content: bytes) -> Claim:
        """Return the claim that ``content`` holds.

        Raises:
            ProofError: ``content`` is no claim; the text names the field.
        """
        return decode(content, cls, FILE)

"""A public challenge is drawn by the first round of a beacon after the claim's timestamp (protocol.md, section 12.1).

Then neither prover nor verifier chose the draw: the claim was fixed before anyone knew the round, and which round it is
follows from the timestamp. A prover may still ask for many timestamps, and show the one whose draw they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.x509 import Certificate

from pol_jax.attesting.attestation import check_document, read_attestation
from pol_jax.attesting.beacon import BeaconRound
from pol_jax.attesting.chains import QUICKNET, Chain
from pol_jax.attesting.folder import CLAIM, CLAIM_TOKEN, Attestations, where
from pol_jax.attesting.time_window import Timestamp
from pol_jax.attesting.timestamp import verify_token
from pol_jax.errors import UsageError

CHAIN: Final = QUICKNET
"""The one chain of public challenges: with two, whoever asks could choose between two draws."""


def first_round_after(moment: datetime, chain: Chain = CHAIN) -> int:
    """Return the number of the first round that comes out after a moment."""
    genesis = chain.time_of(1)
    assert genesis is not None  # noqa: S101  # every chain has a first round
    # Rounds count from 1: one more than the quotient is the round that is out at that moment, two more the next one.
    return 1 if moment < genesis else (moment - genesis) // timedelta(seconds=chain.period) + 2


def claim_timestamp(found: Attestations, claim: bytes, roots: Sequence[Certificate]) -> Timestamp | None:
    """Return what an authority says of the signed claim, or None if nobody stamped it.

    Args:
        found: the attestations of the proof.
        claim: bytes of its ``claim.json``.
        roots: certificates of the authorities that the verifier trusts.

    Raises:
        ProofError: the envelope or the token is false, or about another claim.
        UsageError: there are no roots.
    """
    if found.claim is None or found.claim_token is None:
        return None
    check_document(read_attestation(found.claim, "claim", where=where(CLAIM)), claim, where(CLAIM))
    return verify_token(found.claim_token, found.claim, roots, where=where(CLAIM_TOKEN))


def check_public_round(found: BeaconRound, stamp: Timestamp, name: str) -> None:
    """Check that a round is the one that the timestamp of the claim calls for.

    Args:
        found: the round, verified.
        stamp: the claim's timestamp, verified; its latest possible time counts.
        name: the round's file, for errors.

    Raises:
        UsageError: it is another round, which the prover may have known, or the verifier chosen.
    """
    number = first_round_after(stamp.latest)
    if (found.chain, found.number) != (CHAIN.hash, number):
        raise UsageError(
            f"{name}: is round {found.number} of drand chain {found.chain[:8]}..., of {found.time:%Y-%m-%d %H:%M:%S} "
            f"UTC; a public challenge takes round {number} of chain {CHAIN.hash[:8]}... ({CHAIN.beacon_id}), the first "
            f"after the claim's timestamp of {stamp.latest:%Y-%m-%d %H:%M:%S} UTC"
        )

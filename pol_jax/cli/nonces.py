"""The nonce of a draw is given in hex, or as the file of a drand round, whose randomness it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from pol_jax.attesting.beacon import BeaconRound, read_round
from pol_jax.attesting.folder import MAX_ROUND_BYTES, read_attestations
from pol_jax.attesting.public_challenge import check_public_round, claim_timestamp
from pol_jax.attesting.timestamp import read_roots
from pol_jax.cli.arguments import parse_nonce
from pol_jax.errors import ProofError, UsageError
from pol_jax.files import read_own_file
from pol_jax.protocol import claim as claims
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.reports.public_draw import PublicDraw
from pol_jax.reports.report import Report
from pol_jax.storage.inventory import find_claim, read_bounded


@dataclass(frozen=True)
class GivenNonce:
    """A given nonce is one of the command line, in hex or by a round.

    Attributes:
        content: the bytes; None if none was given.
        draw: the round that they are of, for the report; None if they were given in hex.
        claim: hex digest of the claim whose timestamp calls for this round; None if none was checked.
    """

    content: bytes | None
    draw: PublicDraw | None = None
    claim: str | None = None

    def named_in(self, report: Report) -> Report:
        """Return a report on what was challenged by this nonce, with the round.

        Raises:
            ProofError: another claim was challenged than the one that was there before the round.
        """
        # The files are the prover's, and may have been exchanged by ones that were made when the round was known.
        if self.claim is not None and report.claim not in (None, self.claim):
            raise ProofError(claims.FILE, "is another one than that whose timestamp was compared with the round")
        return structs.replace(report, public_draw=self.draw)


def given_nonce(nonce: str | None, round_file: Path | None, claim: Path, tsa_roots: Path | None = None) -> GivenNonce:
    """Return the nonce that options give.

    Args:
        nonce: in hex.
        round_file: what drand's ``/public/ROUND`` answers.
        claim: the claim that is challenged, or the directory that has it; its ``attestations`` lie beside it.
        tsa_roots: certificates of the timestamping authorities that the verifier trusts. If they are given and the
            claim has a timestamp, the round must be the first one after it.

    Raises:
        UsageError: both are given, or the round is none, or not the one that the claim's timestamp calls for.
        ProofError: the claim's envelope or timestamp is false.
    """
    if round_file is None:
        return GivenNonce(parse_nonce(nonce))
    if nonce is not None:
        raise UsageError("--nonce, --nonce-round: give only one of them")
    found = _round(round_file)
    stamped = stamped_claim = None
    if tsa_roots is not None:
        file = find_claim(claim)
        content = read_bounded(file.parent, file.name, Limits())
        stamped = claim_timestamp(read_attestations(file.parent), content, read_roots(tsa_roots))
        if stamped:
            check_public_round(found, stamped, round_file.name)
            stamped_claim = Claim.parse(content).digest().hex()
    claim_time = stamped.latest.isoformat() if stamped else None
    draw = PublicDraw(found.text(), found.time.isoformat(), claim_time)
    return GivenNonce(bytes.fromhex(found.randomness), draw, stamped_claim)


def _round(file: Path) -> BeaconRound:
    try:
        return read_round(read_own_file(file, MAX_ROUND_BYTES), now=datetime.now(UTC), where=file.name)
    except ProofError as error:  # it is the verifier's own, and says nothing of the proof
        raise UsageError(f"--nonce-round: {error}") from None

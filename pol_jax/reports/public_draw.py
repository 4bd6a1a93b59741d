"""A report names the beacon's round whose randomness its nonce is (docs/protocol.md, section 12.1)."""

from __future__ import annotations

import msgspec


class PublicDraw(msgspec.Struct, frozen=True):
    """A public draw names the round whose randomness is the nonce.

    Attributes:
        round: ``drand:``, hash of the chain, number and randomness of the round, with colons between.
        time: when the round came out, UTC (ISO 8601).
        claim_time: the claim's timestamp, of which this round is the first one after it, UTC; None if no timestamp was
            checked, so that nothing shows that the prover did not know the round.
    """

    round: str
    time: str
    claim_time: str | None

    def describe(self) -> str:
        """Return one line of a report."""
        name = f"the nonce is {self.round}, which came out at {self.time}"
        if self.claim_time is None:
            return f"{name}; no timestamp of the claim was checked, so that the prover may have known it"
        return f"{name}, the first round after the claim's timestamp of {self.claim_time}"

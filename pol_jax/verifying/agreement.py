"""What a claim and a commitment say about each other must agree (docs/protocol.md, section 13, stage 3)."""

from __future__ import annotations

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import problem_of_leaves


def check_agreement(where: str, commitment: Commitment, claim: Claim) -> None:
    """Refuse a claim that the commitment does not allow.

    Raises:
        ProofError: they have different versions, the claim has other steps than were committed to, or an intervention
            is on leaves that the state does not have.
    """
    if commitment.format != claim.format:
        raise ProofError(where, f"format: got {commitment.format}, and the claim has {claim.format}")
    schedule = commitment.schedule
    if not schedule.allows(claim.steps):
        most = "at most " if schedule.may_stop_early else ""
        raise ProofError(
            where, f"schedule.steps: the claim has {claim.steps} steps, committed were {most}{schedule.steps}"
        )
    for each in claim.interventions:
        if problem := problem_of_leaves(each.leaves, commitment.state):
            raise ProofError(where, f"the claim's intervention after step {each.after}: {problem}")

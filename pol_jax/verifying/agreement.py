"""What a commitment says must agree with its claim, and be within limits (docs/protocol.md, section 13, stage 3)."""

from __future__ import annotations

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import FILE, Commitment, nbytes
from pol_jax.protocol.initial import problem_of_leaves
from pol_jax.protocol.limits import Limits


def check_state_size(commitment: Commitment, limits: Limits) -> None:
    """Refuse a state that is larger than the verifier's limit, before anything of its size is made.

    Raises:
        ProofError: it is.
    """
    if nbytes(commitment.state) > limits.state_bytes:
        raise ProofError(FILE, f"state: more than the limit of {limits.state_bytes} bytes")


def check_agreement(where: str, commitment: Commitment, claim: Claim) -> None:
    """Refuse a claim that the commitment does not allow.

    Raises:
        ProofError: they have different versions, the claim has other steps than were committed to, or an intervention
            is on leaves that the state does not have.
    """
    # Else rules of two versions could be combined: the documents of one proof have one version (section 0).
    if commitment.format != claim.format:
        raise ProofError(where, f"format: got {commitment.format}, and the claim has {claim.format}")
    schedule = commitment.schedule
    # A prover who could choose the end afterwards would choose the best of many models, by looking at test data.
    if not schedule.allows(claim.steps):
        most = "at most " if schedule.may_stop_early else ""
        raise ProofError(
            where, f"schedule.steps: the claim has {claim.steps} steps, committed were {most}{schedule.steps}"
        )
    # The claim alone does not show which leaves a state has, or that one holds a PRNG key (section 2.2).
    for each in claim.interventions:
        if problem := problem_of_leaves(each.leaves, commitment.state):
            raise ProofError(where, f"the claim's intervention after step {each.after}: {problem}")

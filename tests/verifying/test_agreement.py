"""A claim must be one that its commitment allows: of one version, of its steps, and about leaves that there are."""

from __future__ import annotations

import pytest
from made_documents import made_claim, made_commitment
from msgspec.structs import replace

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Claim, Intervention
from pol_jax.protocol.commitment import Commitment
from pol_jax.verifying.agreement import check_agreement

COMMITMENT, CLAIM = made_commitment(), made_claim()
STEPS = COMMITMENT.schedule.steps or 0
EARLY = replace(COMMITMENT, schedule=replace(COMMITMENT.schedule, may_stop_early=True))


def given(*leaves: str) -> Claim:
    """The claim with an intervention on these leaves."""
    return replace(CLAIM, interventions=(Intervention(7, leaves, "0" * 64, "why"),))


@pytest.mark.parametrize(
    ("commitment", "claim"),
    [
        (COMMITMENT, CLAIM),
        (EARLY, replace(CLAIM, steps=STEPS - 1)),
        (COMMITMENT, given("/params/kernel")),
    ],
)
def test_what_the_commitment_allows_is_no_error(commitment: Commitment, claim: Claim) -> None:
    check_agreement("it", commitment, claim)


@pytest.mark.parametrize(
    ("commitment", "claim", "words"),
    [
        (COMMITMENT, replace(CLAIM, format="pol-jax/1"), "format: got pol-jax/2, and the claim has pol-jax/1"),
        (COMMITMENT, replace(CLAIM, steps=STEPS - 1), f"the claim has {STEPS - 1} steps, committed were {STEPS}"),
        (EARLY, replace(CLAIM, steps=STEPS + 1), f"the claim has {STEPS + 1} steps, committed were at most {STEPS}"),
        (COMMITMENT, given("/params"), "the claim's intervention after step 7: expected one or more paths"),
        (COMMITMENT, given("/rngs/key"), "the claim's intervention after step 7: '/rngs/key' is a PRNG key"),
    ],
)
def test_another_claim_is_refused(commitment: Commitment, claim: Claim, words: str) -> None:
    with pytest.raises(ProofError, match=words) as refused:
        check_agreement("it", commitment, claim)
    assert str(refused.value).startswith("it: ")

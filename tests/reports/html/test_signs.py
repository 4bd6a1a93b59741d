"""Outcomes and verdicts look alike where they mean the same, and differ where they don't."""

from __future__ import annotations

from pol_jax.reports.html.signs import OUTCOMES, VERDICTS
from pol_jax.reports.outcomes import Outcome, Verdict


def test_each_outcome_has_a_sign_and_a_colour_of_its_own() -> None:
    assert OUTCOMES.keys() == set(Outcome)
    tones, signs = zip(*OUTCOMES.values(), strict=True)
    assert len(set(tones)) == len(set(signs)) == len(Outcome)


def test_a_verdict_looks_like_the_outcome_that_leads_to_it() -> None:
    assert {
        Verdict.ACCEPTED: OUTCOMES[Outcome.PASSED],
        Verdict.REJECTED: OUTCOMES[Outcome.FAILED],
        Verdict.INCONCLUSIVE: OUTCOMES[Outcome.INCONCLUSIVE],
    } == VERDICTS

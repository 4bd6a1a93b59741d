"""An error ends a verification: damage rejects, and what is the verifier's affair leaves the verdict open."""

from __future__ import annotations

import pytest
from example_reports import unfinished

from pol_jax.errors import BackendError, DataError, ProofError
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.verifying.interruption import Interruption, interrupted, interrupted_replay

CASES = [
    (ProofError("records", "is short"), Verdict.REJECTED, Outcome.FAILED, "records: is short"),
    (
        DataError("record 7"),
        Verdict.INCONCLUSIVE,
        Outcome.INCONCLUSIVE,
        "cannot judge with these records: record 7",
    ),
    (BackendError("no room"), Verdict.INCONCLUSIVE, Outcome.INCONCLUSIVE, "cannot judge here: no room"),
]


@pytest.mark.parametrize(("error", "verdict", "outcome", "words"), CASES)
def test_a_stage_that_an_error_ends_says_whose_affair_it_is(
    error: Interruption, verdict: Verdict, outcome: Outcome, words: str
) -> None:
    report = interrupted(unfinished(verdict=Verdict.ACCEPTED), Stage.COMMITMENT, error)
    assert (report.verdict, report.reasons) == (verdict, (f"stage 3, commitment: {words}",))
    outcomes = {each.number: each.outcome for each in report.stages}
    assert outcomes == dict.fromkeys(range(1, 10), Outcome.NOT_REACHED) | {3: outcome}
    assert report.stages[2].detail == str(error)


@pytest.mark.parametrize(("error", "verdict", "outcome", "words"), CASES)
def test_a_replay_that_an_error_ends_keeps_what_is_known_of_the_initial_state(
    error: Interruption, verdict: Verdict, outcome: Outcome, words: str
) -> None:
    found = interrupted_replay(error, Outcome.PASSED)
    assert (found.verdict, found.reasons) == (verdict, (f"stage 9, replay: {words}",))
    assert (found.initial, found.replay, found.seen) == (Outcome.PASSED, outcome, str(error))

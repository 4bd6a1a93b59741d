"""What verifications have in common: stages that pass or end them, and a verdict that doubts may keep open."""

from __future__ import annotations

from typing import Any

import pytest
from example_reports import compared
from made_documents import made_claim, made_commitment, made_program
from msgspec.structs import replace

from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.judging.verdict import Judgement
from pol_jax.progress import Silent
from pol_jax.protocol.policies import AllSegments
from pol_jax.protocol.stages import Stage
from pol_jax.reports.drift import Drift
from pol_jax.reports.outcomes import Mode, Outcome, Verdict
from pol_jax.reports.provenance import Beginning, Origin, Provenance
from pol_jax.reports.states import NonFinite
from pol_jax.verifying.request import ProofRequest
from pol_jax.verifying.verifier import StageFailed, Verifier, describe_size

ACCEPTED = Judgement(Verdict.ACCEPTED, ("all bits are equal",), Outcome.PASSED, Outcome.PASSED)
DRIFT = Drift(0.0, 1.0, None, None, 0.0, None, 4, 0)


class Made(Verifier[ProofRequest]):
    """A verification that goes through one stage, which an error may end."""

    def __init__(self, error: Exception | None = None, judgement: Judgement = ACCEPTED, **asked: Any) -> None:
        super().__init__(ProofRequest(path="it", policy=AllSegments(), **asked), None, Silent())
        self.error, self.judgement = error, judgement

    def run_stages(self) -> None:
        """Go through stage 1."""
        with self.stage(Stage.LIMITS_AND_NAMES) as seen:
            seen += ["one", "two"]
            if self.error:
                raise self.error
        self.conclude(self.judgement)


def test_a_stage_that_is_passed_says_what_it_saw() -> None:
    report = Made().run()
    assert (report.stages[0].outcome, report.stages[0].detail) == (Outcome.PASSED, "one; two")
    assert {each.outcome for each in report.stages[1:]} == {Outcome.NOT_REACHED}
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(ProofError("a", "is damaged"), Verdict.REJECTED), (BackendError("no room"), Verdict.INCONCLUSIVE)],
)
def test_an_error_ends_a_verification_with_a_report(error: Exception, verdict: Verdict) -> None:
    report = Made(error).run()
    assert report.verdict is verdict
    assert report.stages[0].detail == str(error)
    assert report.mode is None


def test_errors_of_the_caller_and_of_the_code_are_raised() -> None:
    for error in (UsageError("wrong"), DataError("record 7"), ZeroDivisionError()):
        with pytest.raises(type(error)):
            Made(error).run()


def test_a_part_of_a_stage_says_nothing_unless_it_fails() -> None:
    verifier = Made()
    with verifier.attempt(Stage.LEDGER):
        pass
    passed, before = verifier.report, Outcome.NOT_REACHED
    assert passed.stages[3].outcome is before
    with pytest.raises(StageFailed), verifier.attempt(Stage.LEDGER):
        raise ProofError("a", "is damaged")
    assert verifier.report.stages[3].outcome is Outcome.FAILED


def test_a_doubt_accepts_nothing_and_rejects_nothing() -> None:
    verifier = Made()
    verifier.doubts.append("a doubt")
    verifier.conclude(ACCEPTED)
    assert (verifier.report.verdict, verifier.report.mode) == (Verdict.INCONCLUSIVE, None)
    assert verifier.report.reasons == ("a doubt", *ACCEPTED.reasons)
    rejected = Judgement(Verdict.REJECTED, ("false",), Outcome.PASSED, Outcome.FAILED)
    verifier.conclude(rejected)
    assert (verifier.report.verdict, verifier.report.reasons) == (Verdict.REJECTED, ("false",))


def test_what_was_compared_as_numbers_is_accepted_within_a_tolerance_or_not_at_all() -> None:
    verifier = Made(any_program=True)
    verifier.add(compared=(compared(6, 1e-6),))
    verifier.conclude(ACCEPTED)
    assert (verifier.report.verdict, verifier.report.mode) == (Verdict.ACCEPTED, Mode.TOLERANCE)
    strict = Made(any_program=True, exact=True)
    strict.add(compared=(compared(6, 1e-6),))
    strict.conclude(ACCEPTED)
    assert (strict.report.verdict, strict.report.mode) == (Verdict.INCONCLUSIVE, None)
    assert strict.report.reasons[0].startswith("stage 9, replay: the verifier asked for equal bits only")


def test_the_report_says_what_claim_and_commitment_say() -> None:
    verifier, claim, commitment = Made(leaves=("/params",)), made_claim(), made_commitment()
    assert verifier.leaves is None
    verifier.add_claim(claim)
    verifier.add_commitment(commitment)
    report = verifier.report
    assert (report.claim, report.commitment) == (claim.digest().hex(), claim.commitment)
    assert report.claimed_environment == claim.environment
    assert (report.task, report.may_stop_early) == ("digits", False)
    assert report.data is not None
    assert (report.data.root, report.data.records) == (commitment.data.root, commitment.data.records)
    assert verifier.leaves == [0]
    with pytest.raises(UsageError, match="'/weights' is the path of no leaf"):
        Made(leaves=("/weights",)).add_commitment(commitment)


def test_a_way_over_values_that_are_not_there_has_no_length() -> None:
    verifier = Made()
    verifier.add_drift(DRIFT)
    assert verifier.report.drift == DRIFT
    verifier.add(non_finite=(NonFinite("/w", 1, 3),))
    verifier.add_drift(DRIFT)
    assert verifier.report.drift == replace(DRIFT, distance=None)
    verifier.add_drift(replace(DRIFT, distance=1.0))
    assert verifier.report.drift == replace(DRIFT, distance=1.0)


def test_the_detail_of_an_initial_state_names_where_it_comes_from() -> None:
    verifier = Made()
    verifier.add(provenance=Provenance(Beginning.OWN_KEY, None, None, (), 0, 2))
    assert verifier.initial_detail() == "all leaves come from the run's own key"


def test_no_other_program_than_that_of_no_source_can_be_asked_for() -> None:
    with pytest.raises(UsageError, match="there is no trusted source"):
        Made(same_program=True)
    assert Made().compare_programs(lambda: pytest.fail("read"), made_commitment(), made_claim()) == []
    assert Made().report.program_origin is Origin.NOT_COMPARED


def test_a_reader_can_tell_whether_a_model_fits_into_a_program() -> None:
    program = made_program(made_commitment(), constant_bytes=3, packed_bytes=5, read=(1,))
    words = f"3 bytes of constants; compressed, the programs have 5 bytes; a state has {64 * 10 * 4 + 8}"
    assert describe_size(program) == Made().see_program(program) == words

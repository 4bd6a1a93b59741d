"""Verdicts have exit codes of their own, and stages their numbers and names."""

from __future__ import annotations

from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, StageResult, Verdict


def test_each_verdict_has_an_exit_code_of_its_own() -> None:
    assert {verdict.value: verdict.exit_code for verdict in Verdict} == {
        "accepted": 0,
        "rejected": 1,
        "inconclusive": 3,
    }


def test_the_result_of_a_stage_has_its_number_and_name() -> None:
    assert StageResult.of(Stage.INITIAL_STATE, Outcome.FAILED, "why") == StageResult(
        7, "initial state", Outcome.FAILED, "why"
    )
    assert StageResult.of(Stage.REPLAY, Outcome.PASSED).detail == ""

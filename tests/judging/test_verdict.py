"""The verdict, as a table."""

from __future__ import annotations

import pytest

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.judging.verdict import Evidence, Judgement, judge_bits, judge_numbers
from pol_jax.protocol.spans import Span
from pol_jax.reports.comparison import Compared
from pol_jax.reports.outcomes import Outcome, Verdict

GOOD, BAD = ReplayResult(Span(0, 6)), ReplayResult(Span(0, 6), 3, ("loss",), b"other")


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize("segments", [(), (GOOD,), (BAD,), (GOOD, BAD), (BAD, GOOD), (GOOD, GOOD), (BAD, BAD)])
@pytest.mark.parametrize("self_test", [GOOD, BAD])
@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("changed", [(), ("jax: 1 against 2",)])
def test_verdicts(
    changed: tuple[str, ...],
    initial: bool,
    self_test: ReplayResult,
    segments: tuple[ReplayResult, ...],
    repeatable: bool,
) -> None:
    """Accepted: all is exact, and it is something. Rejected: something differs, and this is the prover's backend."""
    judgement = judge_bits(Evidence(changed, initial, self_test, segments, repeatable))
    all_exact = initial and all(part is GOOD for part in (self_test, *segments)) and bool(segments)
    differs = not initial or BAD in (self_test, *segments)
    shown_to_reproduce = differs and not changed and repeatable and GOOD in (self_test, *segments)
    expected = Verdict.ACCEPTED if all_exact else Verdict.REJECTED if shown_to_reproduce else Verdict.INCONCLUSIVE
    assert judgement.verdict is expected
    assert judgement.reasons
    assert (judgement.initial is Outcome.PASSED) == initial
    assert (Outcome.FAILED in (judgement.initial, judgement.replay)) == (expected is Verdict.REJECTED)


def compared(start: int, stop: int, outcome: Outcome, error: float | None) -> Compared:
    return Compared(start, stop, outcome, ("far",), 0.5, 1e-9, 1e-8, 5e-4, error, 0.0, 0.0, 0.0, False)


def test_reasons_name_the_steps_that_were_compared() -> None:
    exactly = Judgement(Verdict.INCONCLUSIVE, ("other bits",), Outcome.NOT_REACHED, Outcome.INCONCLUSIVE)
    for start, stop, words in (
        (-1, 0, "stage 7, initial state: the initial state is"),
        (5, 6, "stage 9, replay: step 6 is"),
        (0, 6, "stage 9, replay: steps 1 to 6 are"),
    ):
        judgement = judge_numbers(exactly, [compared(start, stop, Outcome.FAILED, 1.0)], 0, "step")
        assert judgement.reasons == (f"{words} not what this machine gives: far", "other bits")

"""What stands beside a verdict: a proof of which a few chosen steps were replayed doesn't look like a whole one."""

from __future__ import annotations

import pytest
from example_reports import unfinished

from pol_jax.protocol.policies import AllSegments, ListedSegments, Policy, RandomSegments, TopSegments
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.verdicts import describe_extent, is_partial

OTHERS = "and nothing is known of the others"
CASES: dict[str, tuple[Policy, int, int, float, str, bool]] = {
    "all": (AllSegments(), 15, 60, 1.0, "all 60 steps were replayed", False),
    "random": (RandomSegments(), 9, 36, 0.99, "36 of 60 steps were replayed, drawn at random", False),
    "chosen": (
        ListedSegments((3,)),
        1,
        4,
        0.0,
        f"4 of 60 steps were replayed, {OTHERS}",
        True,
    ),
    "largest": (TopSegments(1), 1, 4, 0.0, f"4 of 60 steps were replayed, {OTHERS}", True),
    "ended": (AllSegments(), 1, 4, 0.1, "4 of 60 steps were replayed", False),
}


@pytest.mark.parametrize("case", CASES)
def test_how_much_stands_beside_the_verdict(case: str) -> None:
    policy, segments, steps, detection, words, partial = CASES[case]
    report = replayed(policy, segments, steps, detection)
    assert describe_extent(report) == words
    assert is_partial(report) == partial


def replayed(policy: Policy, segments: int, steps: int, detection: float) -> Report:
    covered = Coverage("segment", 15, tuple(range(segments)), 60, steps, 0.05, detection)
    return unfinished(policy=policy, verdict=Verdict.ACCEPTED, coverage=covered)


def test_without_a_challenge_nothing_is_said() -> None:
    assert describe_extent(unfinished()) == ""
    assert not is_partial(unfinished())

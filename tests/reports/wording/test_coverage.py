"""How much was replayed, in words: what a draw says of other segments, and what a choice does not."""

from __future__ import annotations

import pytest

from pol_jax.protocol.policies import JointSegments, ListedSegments, Policy, RandomSegments, StepPolicy, TopSegments
from pol_jax.protocol.spans import Span
from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.wording.coverage import describe_coverage, describe_mismatch, describe_replay

SEGMENTS = Coverage("segment", 4, (0, 2), 24, 12, 0.05, 0.0)
DRAWN = Coverage("segment", 4, (0, 2), 24, 12, 0.05, 0.25)
STEPS = Coverage("step", 24, (3, 9), 24, 2, 0.1, 0.5)
HALF = "replayed 2 of 4 segments (12 of 24 steps)"


@pytest.mark.parametrize(
    ("coverage", "policy", "words"),
    [
        (Coverage("segment", 4, (), 24, 0, 0.05, 0.0), RandomSegments(), "replayed 0 of 4 segments (0 of 24 steps)"),
        (
            SEGMENTS,
            TopSegments(2),
            f"{HALF}; the prover can foresee the largest updates, so this says nothing about the other segments",
        ),
        (
            SEGMENTS,
            ListedSegments((0, 2)),
            f"{HALF}; they were chosen by number, so this says nothing about the other segments",
        ),
        (
            DRAWN,
            RandomSegments(),
            f"{HALF}; if 5% of all segments were false, this draw would have met one of them with probability 0.2500",
        ),
        (
            DRAWN,
            JointSegments(1),
            f"{HALF}; if 5% of all segments were false, the random segments would have met one of them with probability"
            " 0.2500",
        ),
        (
            STEPS,
            RandomSegments(),
            "replayed 2 of 24 steps; if 10% of all steps were false, this draw would have met one of them with"
            " probability 0.5000",
        ),
    ],
)
def test_coverage_says_what_it_is_worth(coverage: Coverage, policy: Policy | StepPolicy, words: str) -> None:
    assert describe_coverage(coverage, policy) == words


def test_a_replay_names_the_step_and_the_columns_that_differ() -> None:
    assert describe_replay(Replay(1, 6, 12, None, ())) == "steps 7 to 12: the replay equals the ledger, bit for bit"
    assert describe_replay(Replay(1, 6, 12, 9, ("loss", "state_digest"))) == (
        "steps 7 to 12: the replay of step 9 differs from the ledger (loss, state_digest)"
    )
    assert describe_mismatch(Span(8, 9), 9, ["loss"]) == "the replay of step 9 differs from the ledger (loss)"

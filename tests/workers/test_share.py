"""A challenge costs no more than the share that the coordinator pays, and is the sharpest of these."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import challenged_steps
from pol_jax.protocol.sampling import false_segments, segments_needed
from pol_jax.workers.share import steps_within


@given(share=st.floats(0.01, 1), steps=st.integers(3, 3000), fraction=st.floats(0.001, 0.999))
def test_no_challenge_costs_more(share: float, steps: int, fraction: float) -> None:
    if int(share * steps) < 3:
        with pytest.raises(UsageError, match="expected at least 3 steps"):
            steps_within(share, steps, fraction)
        return
    policy = steps_within(share, steps, fraction)
    assert 1 <= len(challenged_steps(policy, steps, bytes(32), b"nonce")) <= share * steps
    needed = segments_needed(steps, policy.confidence, fraction)
    assert needed == int(share * steps) - 2 or policy.confidence > 0.999, "no room is left, or nothing is to be gained"


@pytest.mark.parametrize(("share", "steps", "fraction"), [(0.1, 100, 0.05), (0.25, 20, 0.1), (0.5, 40, 0.02)])
def test_false_steps_are_met_at_the_announced_rate(share: float, steps: int, fraction: float) -> None:
    """Of false steps between the first and the last one, over the claims that a forger may come with."""
    from scipy.stats import binomtest  # takes a second to import

    policy = steps_within(share, steps, fraction)
    false_steps = set(range(2, 2 + false_segments(steps, fraction)))
    runs = 2000
    met = sum(
        not false_steps.isdisjoint(challenged_steps(policy, steps, number.to_bytes(32, "big"), b"nonce"))
        for number in range(runs)
    )
    measured = binomtest(met, runs).proportion_ci(0.999)
    assert measured.low <= policy.confidence <= measured.high, (met / runs, policy.confidence)

"""A challenge costs no more than the share that the coordinator pays, and is the sharpest of these."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import challenged_steps
from pol_jax.protocol.sampling import segments_needed
from pol_jax.workers.share import steps_within


@given(share=st.floats(0.01, 1), steps=st.integers(3, 3000), fraction=st.floats(0.001, 0.999))
def test_no_challenge_costs_more(share: float, steps: int, fraction: float) -> None:
    if int(share * steps) < 3:
        with pytest.raises(UsageError, match="expected room for 3 steps"):
            steps_within(share, steps, fraction)
        return
    policy = steps_within(share, steps, fraction)
    assert 1 <= len(challenged_steps(policy, steps, bytes(32), b"nonce")) <= share * steps
    needed = segments_needed(steps, policy.confidence, fraction)
    assert needed == int(share * steps) - 2 or policy.confidence > 0.999, "no room is left, or nothing is to be gained"

"""Policies: which of them would check nothing, and are refused."""

from __future__ import annotations

import math

import pytest

from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import draw
from pol_jax.protocol.policies import (
    JointSegments,
    RandomSegments,
    TopSegments,
    check_policy,
)


@pytest.mark.parametrize("q", [0, -1, 1.0, True, "1", None, math.nan, 2**53])
def test_no_number_of_segments(q: object) -> None:
    for policy in (TopSegments(q), JointSegments(q)):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="top-q: expected a whole number"):
            check_policy(policy)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, math.nan, math.inf])
def test_policies_that_would_check_nothing_are_refused(share: float) -> None:
    kinds = (RandomSegments(confidence=share), RandomSegments(fraction=share), JointSegments(1, confidence=share))
    for policy in kinds:
        with pytest.raises(UsageError, match="confidence"):
            draw(policy, 10, bytes(32), b"")

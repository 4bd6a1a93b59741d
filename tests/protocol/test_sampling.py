"""How many segments are drawn, and what that detects."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from strategies import law

from pol_jax.protocol.sampling import detection_probability, false_segments, segments_needed


@law(200)
@given(st.integers(1, 300), st.data())
def test_detection_probability_is_hypergeometric(segments: int, data: st.DataObject) -> None:
    wrong, drawn = data.draw(st.integers(1, segments)), data.draw(st.integers(0, segments))
    exact = 1 - Fraction(math.comb(segments - wrong, drawn), math.comb(segments, drawn))
    assert math.isclose(detection_probability(segments, wrong, drawn), exact, rel_tol=1e-12, abs_tol=1e-15)


@law(200)
@given(st.integers(1, 300), st.integers(1, 999), st.integers(1, 999))
def test_the_sample_is_the_least_that_is_enough(segments: int, confidence: int, fraction: int) -> None:
    """In thousandths, so that the needed probability is often met exactly."""
    needed = segments_needed(segments, confidence / 1000, fraction / 1000)
    wrong = max(1, -(-fraction * segments // 1000))
    assert false_segments(segments, fraction / 1000) == wrong

    def enough(drawn: int) -> bool:
        missed = Fraction(math.comb(segments - wrong, drawn), math.comb(segments, drawn))
        return 1 - missed >= Fraction(confidence, 1000)

    assert enough(needed)
    assert not enough(needed - 1)


def test_samples_of_many_segments_take_no_time() -> None:
    assert segments_needed(10**9, 0.99, 0.05) == 90
    assert segments_needed(10**7, 1 - 1e-12, 1e-4) > 200_000

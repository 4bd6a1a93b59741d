"""How many segments a random draw needs, and how surely it meets a false one. Exact: a draw is without replacement."""

from __future__ import annotations

import math
from fractions import Fraction

_NEAR = 1e-9


def segments_needed(segments: int, confidence: float, fraction: float) -> int:
    """The least sample that meets a false segment with ``confidence`` if ``fraction`` of ``segments`` is false.

    Exact: drawing without replacement is hypergeometric, and both numbers are the decimals that the report shows, so
    that a draw is the same wherever it is repeated.
    """
    false = false_segments(segments, fraction)
    low = high = 1
    while not _meets(segments, false, high, confidence):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        if _meets(segments, false, middle, confidence):
            high = middle
        else:
            low = middle + 1
    return low


def false_segments(segments: int, fraction: float) -> int:
    """How many segments are false if ``fraction`` of them is: rounded up, at least 1."""
    return max(1, math.ceil(_decimal(fraction) * segments))


def detection_probability(segments: int, false: int, drawn: int) -> float:
    """Probability that ``drawn`` of ``segments`` hold at least one of ``false``: 1 - C(n-m, q) / C(n, q)."""
    if drawn > segments - false:
        return 1.0
    few, many = sorted((false, drawn))  # C(n-m, q) / C(n, q) = C(n-q, m) / C(n, m)
    return -math.expm1(sum(math.log1p(-many / (segments - at)) for at in range(few)))


def _meets(segments: int, false: int, drawn: int, confidence: float) -> bool:
    """Whether the detection probability is at least ``confidence``; in whole numbers where floats are too near."""
    estimate = detection_probability(segments, false, drawn)
    if drawn > segments - false or abs(estimate - confidence) > _NEAR:
        return estimate >= confidence
    few, many = sorted((false, drawn))
    missed = math.prod(range(segments - many - few + 1, segments - many + 1))
    return missed <= (1 - _decimal(confidence)) * math.prod(range(segments - few + 1, segments + 1))


def _decimal(number: float) -> Fraction:
    """The shortest decimal that reads as ``number``: what canonical JSON writes."""
    return Fraction(repr(float(number)))

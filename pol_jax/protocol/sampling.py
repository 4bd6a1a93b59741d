"""Here the size of a random draw is computed, then its segments, and the probability that it meets a false one.

A draw is without replacement, so the number of false segments that it meets is hypergeometric (docs/protocol.md,
section 12.1).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction

_NEAR = 1e-9
"""Where an estimate in floating point is as near as this to the bound, whole numbers decide."""


def segments_needed(segments: int, confidence: float, fraction: float) -> int:
    """Return the smallest sample that meets a false segment with ``confidence`` if ``fraction`` of them is false.

    The result is exact, and both numbers are read as the decimals that a report shows. A rounding error could change
    the sample's size by one from machine to machine, and a draw must be the same wherever it is repeated.
    """
    false_count = false_segments(segments, fraction)
    low = high = 1
    while not _meets(segments, false_count, high, confidence):  # it grows with the sample: double, then search between
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        if _meets(segments, false_count, middle, confidence):
            high = middle
        else:
            low = middle + 1
    return low


def sample(segments: int, count: int, stream: Callable[[int], bytes]) -> set[int]:
    """Return ``count`` different numbers below ``segments``, each set of them with the same probability.

    They are the first places of a shuffle by Fisher and Yates; of its swaps, only those that matter are kept.

    Args:
        segments: at least ``count``.
        count: how many are drawn.
        stream: returns the first n bytes of a random stream.
    """
    numbers, moved, drawn = _words(stream, count), dict[int, int](), set[int]()
    for at in range(count):
        # The shuffle is sparse: only places that a swap has touched are kept, so that a draw of 90 from 10^9 takes no
        # memory.
        other = at + _uniform(numbers, segments - at)
        drawn.add(moved.get(other, other))
        moved[other] = moved.get(at, at)
    return drawn


def _uniform(numbers: Iterator[int], bound: int) -> int:
    """Return a number below ``bound``; those that would make some of them more likely are passed over."""
    end = 2**64 - 2**64 % bound
    return next(number for number in numbers if number < end) % bound


def _words(stream: Callable[[int], bytes], count: int) -> Iterator[int]:
    """Yield the integers ``u64`` of a stream, without an end."""
    # A few more than are drawn, since numbers are rarely passed over; then twice as many, from the same stream.
    start, stop = 0, count + 8
    while True:
        content = stream(8 * stop)
        yield from struct.unpack(f"<{stop - start}Q", content[8 * start :])
        start, stop = stop, 2 * stop


def false_segments(segments: int, fraction: float) -> int:
    """Return how many segments are false if ``fraction`` of them is: rounded up, and at least 1."""
    return max(1, math.ceil(_decimal(fraction) * segments))


def detection_probability(segments: int, false_count: int, drawn: int) -> float:
    """Return the probability that a draw meets at least one false segment.

    It is ``1 - C(n - m, q) / C(n, q)`` for q drawn of n segments, m of which are false.
    """
    if drawn > segments - false_count:
        return 1.0
    # A sum of logarithms, since the binomial coefficients themselves are far beyond any float.
    few, many = sorted((false_count, drawn))  # C(n-m, q) / C(n, q) = C(n-q, m) / C(n, m): the shorter product serves
    return -math.expm1(sum(math.log1p(-many / (segments - index)) for index in range(few)))


def _meets(segments: int, false_count: int, drawn: int, confidence: float) -> bool:
    """Return whether the detection probability is at least ``confidence``.

    Where floating point can't tell, because both are nearly equal, whole numbers decide.
    """
    estimate = detection_probability(segments, false_count, drawn)
    if drawn > segments - false_count or abs(estimate - confidence) > _NEAR:
        return estimate >= confidence
    few, many = sorted((false_count, drawn))
    # Whole numbers from here on: section 12.1 asks for exact arithmetic, and both sides are multiplied out.
    missed = math.prod(range(segments - many - few + 1, segments - many + 1))
    return missed <= (1 - _decimal(confidence)) * math.prod(range(segments - few + 1, segments + 1))


def _decimal(number: float) -> Fraction:
    """Return the shortest decimal that reads as ``number``, which is what canonical JSON writes."""
    return Fraction(repr(float(number)))

"""These are the protocol's distances between two states: l1, l2, l-infinity and cosine (section 12.2).

Every operation is one of IEEE 754, in an order that the protocol fixes. Therefore everyone who measures the same states
gets the same bits, and so the same ranking of updates. No sum is left to a library, because the order in which a
library adds depends on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

from pol_jax.protocol.challenge import Metric
from pol_jax.protocol.trees import ArraySpec

LANES: Final = 2**16
"""Element i of a leaf is added to the partial sum ("lane") i modulo this number; the lanes are added at the end."""

HostLeaves = Sequence[np.ndarray]
Chunk = Float64[np.ndarray, " n"]
_Term = Callable[[Chunk, Chunk], Chunk]


def distance(spec: Sequence[ArraySpec], before: HostLeaves, after: HostLeaves, metric: Metric) -> float:
    """Return the distance between the floating-point leaves of two states, each taken as one vector of doubles.

    It is NaN if a state holds numbers that have no distance, such as NaN.
    """
    pairs = [
        (a, b) for leaf, a, b in zip(spec, before, after, strict=True) if leaf.dtype.startswith(("float", "bfloat"))
    ]
    with np.errstate(all="ignore"):  # infinity and NaN are results here, and no reason for a warning
        match metric:
            case "l1":
                return _sum(pairs, lambda a, b: np.abs(b - a))
            case "l2":
                return math.sqrt(_sum(pairs, lambda a, b: (b - a) * (b - a)))
            case "linf":
                return float(np.max([0.0, *(np.max(np.abs(b - a)) for a, b in _chunks(pairs))]))
            case "cosine":
                return _cosine(pairs)


def _cosine(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return 1 minus the cosine of the angle; of two vectors of which one is zero, 0 if they are equal, else 1."""
    ab, aa, bb = (_sum(pairs, term) for term in (lambda a, b: a * b, lambda a, b: a * a, lambda a, b: b * b))
    if not all(map(math.isfinite, (ab, aa, bb))):
        return math.nan
    if aa == 0 or bb == 0:
        return 0.0 if all(np.array_equal(a, b) for a, b in pairs) else 1.0
    return 1 - ab / (math.sqrt(aa) * math.sqrt(bb))


def _sum(pairs: Sequence[tuple[np.ndarray, np.ndarray]], term: _Term) -> float:
    """Return the sum of a term over all elements, in the order that the protocol fixes."""
    largest = max((a.size for a, _ in pairs), default=0)
    lanes = np.zeros(max(1, min(LANES, largest)))  # lanes beyond the largest leaf would only add zeros
    for a, b in _chunks(pairs):
        lanes[: len(a)] += term(a, b)
    return float(np.cumsum(lanes)[-1])  # cumsum adds one after the other; np.sum adds pairwise


def _chunks(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[Chunk, Chunk]]:
    """Yield pairs of leaves as doubles, `LANES` elements at a time, so that no wider copy of a whole state is made."""
    for a, b in pairs:
        flat = np.ravel(a), np.ravel(b)
        for begin in range(0, len(flat[0]), LANES):
            first, second = (leaf[begin : begin + LANES].astype(np.float64) for leaf in flat)
            yield first, second


def finite(number: float) -> float | None:
    """Return a number as a report holds it: None if it is not finite."""
    return number if math.isfinite(number) else None

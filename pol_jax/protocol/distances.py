"""The protocol's distances between two states: l1, l2, l-infinity and cosine, of section 12.2.

Every operation is one of IEEE 754's, in an order that the protocol fixes, so that whoever measures the same states gets
the same bits, and the same ranking. No sum is left to a library: in what order one adds up depends on the machine.
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
"""Element i of a leaf is added to lane i modulo this; the lanes are added up at the end."""

Leaves = Sequence[np.ndarray]
Chunk = Float64[np.ndarray, " n"]
_Term = Callable[[Chunk, Chunk], Chunk]


def distance(spec: Sequence[ArraySpec], before: Leaves, after: Leaves, metric: Metric) -> float:
    """The distance between the floating-point leaves of two states, each as one vector of doubles.

    NaN where a state holds what has no distance.
    """
    pairs = [
        (a, b) for leaf, a, b in zip(spec, before, after, strict=True) if leaf.dtype.startswith(("float", "bfloat"))
    ]
    with np.errstate(all="ignore"):
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
    """1 - cos of the angle; a vector of zeros has none: it is like itself and like nothing else."""
    ab, aa, bb = (_sum(pairs, term) for term in (lambda a, b: a * b, lambda a, b: a * a, lambda a, b: b * b))
    if not all(map(math.isfinite, (ab, aa, bb))):
        return math.nan
    if aa == 0 or bb == 0:
        return 0.0 if all(np.array_equal(a, b) for a, b in pairs) else 1.0
    return 1 - ab / (math.sqrt(aa) * math.sqrt(bb))


def _sum(pairs: Sequence[tuple[np.ndarray, np.ndarray]], term: _Term) -> float:
    """The sum of a term over all elements, in the protocol's order."""
    lanes = np.zeros(max(1, min(LANES, max((a.size for a, _ in pairs), default=0))))  # lanes beyond would add zeros
    for a, b in _chunks(pairs):
        lanes[: len(a)] += term(a, b)
    return float(np.cumsum(lanes)[-1])  # one after the other, which np.sum is not


def _chunks(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[Chunk, Chunk]]:
    """Pairs of leaves as doubles, a lane's worth at a time: no second copy of a state in a wider type."""
    for a, b in pairs:
        flat = np.ravel(a), np.ravel(b)
        for at in range(0, len(flat[0]), LANES):
            first, second = (leaf[at : at + LANES].astype(np.float64) for leaf in flat)
            yield first, second


def finite(number: float) -> float | None:
    """A number as a report has it: None where it is not finite."""
    return number if math.isfinite(number) else None

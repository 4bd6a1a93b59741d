"""Two states have four distances in the protocol: l1, l2, l-infinity and cosine (section 12.2).

Every operation is one of IEEE 754, in an order that the protocol fixes. Therefore everyone who measures the same states
gets the same bits, and so the same ranking of updates. No sum is left to a library, because the order in which a
library adds depends on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from pol_jax.protocol.policies import Metric
from pol_jax.protocol.trees import ArraySpec, HostLeaves

LANES: Final = 2**16
"""Element i of a leaf is added to the partial sum ("lane") i modulo this number; the lanes are added at the end."""

Chunk = Float64[np.ndarray, " n"]
_Term = Callable[[Chunk, Chunk], Chunk]


def distance(
    spec: Sequence[ArraySpec],
    before: HostLeaves,
    after: HostLeaves,
    metric: Metric,
    places: Sequence[int] | None = None,
) -> float:
    """Return the distance between the floating-point leaves of two states, each taken as one vector of doubles.

    It is NaN if a state holds numbers that have no distance, such as NaN.

    Args:
        spec: of the states.
        before: the leaves of one, which are asked for one after the other.
        after: those of the other.
        metric: what distance.
        places: of the leaves that count, ascending; None for all.

    Raises:
        ValueError: a state has more or fewer leaves than the specification.
    """
    if not len(spec) == len(before) == len(after):
        raise ValueError(f"distance: got {len(before)} and {len(after)} leaves, expected {len(spec)}")
    chosen = range(len(spec)) if places is None else places
    floating = tuple(at for at in chosen if spec[at].dtype.startswith(("float", "bfloat")))
    pairs = _Pairs(spec, before, after, floating)
    with np.errstate(all="ignore"):  # infinity and NaN are results here, and no reason for a warning
        match metric:
            case "l1":
                return _sum(pairs, lambda a, b: np.abs(b - a))
            case "l2":
                # Written as a product: a power may be computed in another way, and give other last bits (section 12.2).
                return math.sqrt(_sum(pairs, lambda a, b: (b - a) * (b - a)))
            case "linf":
                return float(np.max([0.0, *(np.max(np.abs(b - a)) for a, b in _chunks(pairs))]))
            case "cosine":
                return _cosine(pairs)


@dataclass(frozen=True)
class _Pairs:
    """These are the floating-point leaves of two states, two of them in memory at a time."""

    spec: Sequence[ArraySpec]
    before: HostLeaves
    after: HostLeaves
    places: tuple[int, ...]

    @property
    def largest(self) -> int:
        """Return how many elements the largest leaf has."""
        return max((math.prod(self.spec[at].shape) for at in self.places), default=0)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield a leaf of both states, one pair after the other."""
        return ((self.before[at], self.after[at]) for at in self.places)


def _cosine(pairs: _Pairs) -> float:
    """Return 1 minus the cosine of the angle; of two vectors of which one is zero, 0 if they are equal, else 1."""
    ab, aa, bb = (_sum(pairs, term) for term in (lambda a, b: a * b, lambda a, b: a * a, lambda a, b: b * b))
    # Infinity over infinity would be decided by the library; the protocol says NaN.
    if not all(map(math.isfinite, (ab, aa, bb))):
        return math.nan
    if aa == 0 or bb == 0:
        return 0.0 if all(np.array_equal(a, b) for a, b in pairs) else 1.0
    return 1 - ab / (math.sqrt(aa) * math.sqrt(bb))


def _sum(pairs: _Pairs, term: _Term) -> float:
    """Return the sum of a term over all elements, in the order that the protocol fixes."""
    lanes = np.zeros(max(1, min(LANES, pairs.largest)))  # lanes beyond the largest leaf would only add zeros
    for a, b in _chunks(pairs):
        lanes[: len(a)] += term(a, b)
    return float(np.cumsum(lanes)[-1])  # cumsum adds one after the other; np.sum adds pairwise


def _chunks(pairs: _Pairs) -> Iterator[tuple[Chunk, Chunk]]:
    """Yield pairs of leaves as doubles, `LANES` elements at a time, so that no wider copy of a whole state is made."""
    for a, b in pairs:
        flat = np.ravel(a), np.ravel(b)
        for begin in range(0, len(flat[0]), LANES):
            first, second = (leaf[begin : begin + LANES].astype(np.float64) for leaf in flat)
            yield first, second


def finite(number: float) -> float | None:
    """Return a number as a report holds it: None if it is not finite."""
    return number if math.isfinite(number) else None

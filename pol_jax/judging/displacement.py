"""How far the elements of a leaf went from the initial to the final state, by their magnitude (section 13.1).

What tolerances add up to is held against this. One distance for a whole leaf would let its large elements carry its
small ones: a counter that lies in one vector with the parameters runs so far that the parameters could go anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pol_jax.judging.leaf_distances import doubles, is_floating
from pol_jax.judging.magnitude_groups import group_norms, magnitudes_of
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.comparison import Room

JUDGED_SHARE: Final = 1 / 16
"""Elements below a magnitude are held against their own distance if they are at least so many of those that moved. Of
any leaf a few end near 0, and went no further than their rounding; they can't carry a model."""

_CHUNK: Final = 2**20


@dataclass(frozen=True)
class Displacement:
    """How far the elements of a leaf went.

    Attributes:
        distances: Euclidean, for each magnitude that elements have in the initial or in the final state, whichever is
            larger.
        moved: how many elements of each magnitude are not where they were.
    """

    distances: Mapping[int, float]
    moved: Mapping[int, int]

    @property
    def distance(self) -> float:
        """Of all elements."""
        return math.hypot(*self.distances.values())

    def share(self, rooms: Sequence[Sequence[Room]], repeated: float) -> float:
        """The largest share of their distance that tolerances could make up, of elements up to some magnitude.

        Args:
            rooms: in which the leaf could be off, in each comparison that passed.
            repeated: how many times as many steps the run has.
        """
        shares, moved = [_ratio(_total(rooms) * repeated, self.distance)], 0
        for magnitude in sorted(self.distances):
            moved += self.moved[magnitude]
            if moved >= max(1, JUDGED_SHARE * sum(self.moved.values())):
                own = math.hypot(*(size for at, size in self.distances.items() if at <= magnitude))
                shares.append(_ratio(_total(rooms, magnitude) * repeated, own))
        return max(shares)


def displacements(spec: StateSpec, first: Sequence[np.ndarray], last: Sequence[np.ndarray]) -> list[Displacement]:
    """How far each leaf went, over its elements that are finite in both states; one of integers went nowhere."""
    return [
        _displacement(*pair) if is_floating(leaf.dtype) else Displacement({}, {})
        for leaf, *pair in zip(spec, first, last, strict=True)
    ]


def _displacement(first: np.ndarray, last: np.ndarray) -> Displacement:
    distances, moved = dict[int, float](), dict[int, int]()
    for at in range(0, first.size, _CHUNK):  # no second copy in a wider type
        a, b = (doubles(np.ravel(array)[at : at + _CHUNK]) for array in (first, last))
        finite = np.isfinite(a) & np.isfinite(b)
        a, b = a[finite], b[finite]
        magnitudes, place = np.unique(magnitudes_of(a, b), return_inverse=True)
        with np.errstate(over="ignore"):
            norms = group_norms(b - a, place, len(magnitudes))
        counts = np.bincount(place, weights=a != b, minlength=len(magnitudes))
        for magnitude, norm, count in zip(magnitudes.tolist(), norms.tolist(), counts.tolist(), strict=True):
            distances[magnitude] = math.hypot(distances.get(magnitude, 0.0), norm)
            moved[magnitude] = moved.get(magnitude, 0) + int(count)
    return Displacement(distances, moved)


def _total(rooms: Sequence[Sequence[Room]], magnitude: int | None = None) -> float:
    """What elements, up to a magnitude or all, could be off in all comparisons together; it may be infinite."""
    sizes = ([room.size for room in each if magnitude is None or room.magnitude <= magnitude] for each in rooms)
    return sum(math.hypot(*(math.inf if size is None else size for size in each)) for each in sizes)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.inf if part else 0.0

"""The elements of a leaf went some way from the initial to the final state, measured by magnitude (section 13.1).

What tolerances add up to is held against this. One distance for a whole leaf would let its large elements carry its
small ones: a counter that lies in one vector with the parameters runs so far that the parameters could go anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pol_jax.judging.leaf_numbers import doubles
from pol_jax.judging.magnitude_groups import ENOUGH, group_norms, magnitudes_of
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.comparison import Room

JUDGED_SHARE: Final = 1 / 16
"""Elements below a magnitude are held against their own distance if they are at least so many of those that moved, and
`ENOUGH` or half of these. Of any leaf a few end near 0, and went no further than their rounding; they can't carry a
model, and how much rounding they have is not well known."""

_CHUNK: Final = 2**20
"""This many elements are converted to doubles at a time."""


@dataclass(frozen=True)
class Displacement:
    """A displacement says how far the elements of a leaf went.

    Attributes:
        distances: Euclidean, for each magnitude that elements have in the initial or in the final state, whichever is
            larger.
        moved: how many elements of each magnitude are not where they were.
    """

    distances: Mapping[int, float]
    moved: Mapping[int, int]

    @property
    def distance(self) -> float:
        """Return the distance of all elements."""
        return self.distance_up_to(None)

    def share(
        self,
        rooms: Sequence[Sequence[Room]],
        weights: Sequence[float],
        choices: Callable[[int | None], float] = lambda most: 0.0,
    ) -> float:
        """Return the largest share of their distance that tolerances could make up, of elements up to some magnitude.

        Args:
            rooms: in which the leaf could be off, in each comparison that passed.
            weights: for how many comparisons of the whole run each of these stands.
            choices: tells how far choices near ties could have led elements up to a magnitude, or all of them.
        """
        return max(
            _ratio(_total(rooms, weights, most) + choices(most), self.distance_up_to(most)) for most in self._judged()
        )

    def part_of(self, rooms: Sequence[Room]) -> float:
        """Return the largest part of their room that elements went, of elements up to some magnitude; at most 1."""
        # Groups of small elements by themselves too, as in what tolerances add up to (section 14.2).
        parts = ((self.distance_up_to(most), _total([rooms], [1.0], most)) for most in self._judged())
        return max(1.0 if went > room or math.isinf(room) else _ratio(went, room) for went, room in parts)

    def distance_up_to(self, most: int | None) -> float:
        """Return the distance of the elements up to a magnitude; None for all."""
        return math.hypot(*(size for at, size in self.distances.items() if most is None or at <= most))

    def _judged(self) -> Iterator[int | None]:
        """Yield the magnitudes up to which elements are judged together, and None for all of them."""
        moved, of_all = 0, sum(self.moved.values())
        for magnitude in sorted(self.distances):
            moved += self.moved[magnitude]
            if moved >= max(1, JUDGED_SHARE * of_all, min(ENOUGH, of_all / 2)):
                yield magnitude
        yield None


def displacements(spec: StateSpec, first: Sequence[np.ndarray], last: Sequence[np.ndarray]) -> list[Displacement]:
    """Return how far each leaf went, over elements that are finite in both states; integers are numbers too."""
    return [_displacement(*pair) for _, *pair in zip(spec, first, last, strict=True)]


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


def _total(rooms: Sequence[Sequence[Room]], weights: Sequence[float], most: int | None) -> float:
    """Return by how much elements up to a magnitude, or all, could be off in all comparisons; it may be infinite."""
    return sum(weight * room_up_to(each, most) for weight, each in zip(weights, rooms, strict=True))


def room_up_to(rooms: Sequence[Room], most: int | None) -> float:
    """Return how far elements up to a magnitude, or all, could be off in one comparison; it may be infinite."""
    sizes = (room.size for room in rooms if most is None or room.magnitude <= most)
    return math.hypot(*(math.inf if size is None else size for size in sizes))


def _ratio(part: float, whole: float) -> float:
    # Something against no distance at all is more than any share.
    return part / whole if whole else math.inf if part else 0.0

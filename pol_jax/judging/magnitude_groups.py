"""A leaf's elements are put into groups of like magnitude, and each group is measured by itself (section 14.1).

A norm over a whole leaf is blind to small elements beside a large one: one unit in the last place of a constant of
-1e8 is larger than every parameter that lies in the same vector. So the elements of a leaf are grouped by the size of
their values, and the rounding, the noise and the update of a group are those of its own elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import ml_dtypes
import numpy as np
from jaxtyping import Float64, Int64

from pol_jax.judging.leaf_distances import (
    COARSE_LIMIT_SHARE,
    FINE_EPS,
    LIMIT_SHARE,
    PERTURBED_PLACES,
    SAFETY_FACTOR,
    STEERED_SHARE,
    smallest_normal,
)
from pol_jax.judging.leaf_numbers import Flat, doubles
from pol_jax.judging.leaf_results import LeafResults
from pol_jax.protocol.trees import DTYPES

BINADES: Final = 4
"""A group spans this many binary orders of magnitude: its largest element is less than 2^4 times its smallest."""

ENOUGH: Final = 16
"""This many elements show the noise of a group well: of fewer ones the tolerance is larger, and none of them fails."""

MOST_PLACES: Final = 8
"""The bound of a group of few elements is more than a unit in the last place of each: at most this many."""

_ZERO: Final = -(2**20)
"""The exponent that stands for elements which are 0 before the step and in this machine's result."""


@dataclass(frozen=True)
class MagnitudeGroup:
    """A magnitude group is what was measured of the elements of like magnitude; all distances are Euclidean.

    Attributes:
        magnitude: of the elements (`magnitudes_of`).
        count: how many elements.
        update: between the committed leaf before and after, or the one that this machine expects, if that is larger.
        error: between the committed leaf after and the reference.
        noise: the largest distance between two of this machine's results; or what a perturbation of the state before
            by one unit in the last place does, if that is larger.
        rounding: what the group is off if each element is by its own last place.
        limit: the largest tolerance that decides, a share of the update.
        reach: how far this machine's results from perturbed states are, with a factor of safety.
        nudge: how far its result is where each element of the state before is off by one unit in the last place.
    """

    magnitude: int
    count: int
    update: float
    error: float
    noise: float
    rounding: float
    limit: float
    reach: float
    nudge: float = 0.0

    @property
    def room(self) -> float:
        """Return how far the group could be off: by its bound, and by what last places of the state before decide."""
        return self.bound + self.nudge

    @property
    def is_steered(self) -> bool:
        """Return whether last places of the state before decide where the group goes; few elements don't show it."""
        return self.count >= ENOUGH and self.nudge > max(self.bound, STEERED_SHARE * self.update)

    @property
    def tolerance(self) -> float:
        """Return by how much another backend's rounding may be off; few elements show less noise than there is."""
        return SAFETY_FACTOR * max(1.0, ENOUGH / self.count) * self.noise

    @property
    def bound(self) -> float:
        """Return the largest error that passes: the tolerance, and at least the last places.

        It may be beyond the limit: the gradient of an element that is nearly 0 is the rest of a sum of larger terms,
        whose rounding it has. The leaf as a whole is held to its limit.
        """
        return max(self.rounding, self.tolerance)


def measure_groups(dtype: str, leaf: LeafResults, *, places: float = 1.0) -> list[MagnitudeGroup]:
    """Measure the groups of a floating-point leaf, over its elements that are finite here and as committed.

    An element's magnitude is that of its value before the step or of the reference, whichever is larger. Elements that
    are 0 in both, such as the moments of a weight that never has a gradient, are a group without any rounding.

    Args:
        dtype: the leaf's.
        leaf: its results.
        places: by how many units in the last place every element may be off; an element of a small group by up to
            `MOST_PLACES` times as many.
    """
    (before, after), own, perturbed, nudged = _finite_elements(leaf)
    if not len(before):
        return []
    eps = float(ml_dtypes.finfo(DTYPES[dtype]).eps)  # type: ignore[no-untyped-call]
    share = LIMIT_SHARE if eps < FINE_EPS else COARSE_LIMIT_SHARE
    # By the reference, never by the committed state after: else the prover would choose the groups.
    magnitudes, place = np.unique(magnitudes_of(before, own[0]), return_inverse=True)
    count = np.bincount(place)
    flushed = smallest_normal(dtype) * np.sqrt(count)

    def norms(a: np.ndarray, b: np.ndarray | float) -> np.ndarray:
        with np.errstate(over="ignore"):
            return group_norms(a - b, place, len(count))

    # The larger of both, as for a whole leaf: a forger who claims a small update gets no larger limit by it.
    update = np.maximum(norms(after, before), norms(own[0], before))
    # A perturbed result that is lost hinders a failure. It excuses no element: a program could lose it on purpose.
    lost, lost_by_nudge = (
        np.bincount(place, weights=~np.logical_and.reduce([np.isfinite(own[0]), *map(np.isfinite, states)])) > 0
        for states in (perturbed, nudged)
    )
    moved, by_nudge = (
        [norms(np.where(np.isfinite(each), each, own[0]), own[0]) for each in states] for states in (perturbed, nudged)
    )
    by_rounding = _largest(moved[: leaf.rounded], len(count))
    noise = _largest([norms(a, b) for a, b in combinations(own, 2)], len(count))
    measured = {
        "update": update,
        "error": norms(after, own[0]),
        "noise": np.maximum(noise, by_rounding / PERTURBED_PLACES),
        # Few elements show little of the rounding that there is, so each of them may be off by more of its places.
        "rounding": places * np.clip(ENOUGH / count, 1, MOST_PLACES) * eps * norms(own[0], 0.0),
        "limit": share * update,
        "reach": np.where(lost, np.inf, np.maximum(SAFETY_FACTOR * _largest(moved, len(count)), flushed)),
        "nudge": np.where(lost_by_nudge, np.inf, _largest(by_nudge, len(count))),
    }
    return [
        MagnitudeGroup(
            int(magnitudes[at]), int(count[at]), **{name: float(each[at]) for name, each in measured.items()}
        )
        for at in range(len(count))
    ]


def _finite_elements(leaf: LeafResults) -> list[list[Flat]]:
    """Return the elements that are finite as committed and in all of this machine's own results.

    Returns:
        The states before and after; the reference and the other results; the perturbed ones; the nudged ones.
    """
    before, after = doubles(leaf.before), doubles(leaf.after)
    own = [doubles(result) for result in (leaf.reference, *leaf.others)]
    perturbed, nudged = ([doubles(result) for result in states] for states in (leaf.perturbed, leaf.nudged))
    before = np.where(np.isfinite(before), before, own[0])  # such an element has no update, and is judged all the same
    finite = np.logical_and.reduce([np.isfinite(each) for each in (after, *own)])
    return [[each[finite] for each in states] for states in ([before, after], own, perturbed, nudged)]


def magnitudes_of(first: Flat, second: Flat) -> Int64[np.ndarray, " n"]:
    """Return the magnitude of each element: the exponent of the larger of two finite values, divided by `BINADES`."""
    largest = np.maximum(np.abs(first), np.abs(second))
    return np.where(largest > 0, np.frexp(largest)[1] // BINADES, _ZERO).astype(np.int64)


def group_norms(difference: Flat, place: Int64[np.ndarray, " n"], groups: int) -> Float64[np.ndarray, " groups"]:
    """Return the Euclidean norm of each group, scaled by its largest element: squares of tiny numbers would be 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        absolute = np.abs(difference)
        largest = np.zeros(groups)
        # Unbuffered: a plain assignment by repeated places would keep the last element of a group, not the largest.
        np.maximum.at(largest, place, absolute)
        scale = np.where(largest > 0, largest, 1.0)
        squares = np.bincount(place, weights=(absolute / scale[place]) ** 2, minlength=groups)
        found: np.ndarray = largest * np.sqrt(squares)
    return found


def _largest(found: Sequence[np.ndarray], groups: int) -> Float64[np.ndarray, " groups"]:
    return np.max(found, axis=0) if found else np.zeros(groups)

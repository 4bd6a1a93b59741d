"""The results of a step lie some distances apart, for one leaf or for all: numbers without a judgement (section 14.1).

All arithmetic is in doubles on the host. Norms are scaled, so that tiny values don't become 0 and huge ones infinity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import ml_dtypes
import msgspec
import numpy as np
from jaxtyping import Bool

from pol_jax.judging.leaf_numbers import Flat, doubles, norm
from pol_jax.judging.leaf_results import LeafResults
from pol_jax.protocol.trees import DTYPES

SAFETY_FACTOR: Final = 10.0
"""The tolerance over the noise. The compilations here sample the distribution of rounding errors only a few times, and
another backend is one more sample from a wider distribution: another instruction set, other libraries.
``scripts/margins.py`` measures how much of the factor is left: the largest honest error over the noise."""

LIMIT_SHARE: Final = 1e-3
"""The limit, as a share of the update. A forged step is off by about 1, and one with a learning rate that is wrong by a
percent by 0.01: both are far beyond the limit."""

COARSE_LIMIT_SHARE: Final = 0.1
"""The same for leaves in dtypes of a few bits (`FINE_EPS`): one unit in the last place of bfloat16 is 0.8% of a value,
so no honest backend could be held to `LIMIT_SHARE`."""

FINE_EPS: Final = 1e-6
"""A dtype is fine if its unit in the last place is below this share of a value: float32 (1.2e-7) and wider."""

FAILURE_FACTOR: Final = 5.0
"""An error fails beyond this many limits. Between one limit and these, it is neither rounding that was seen here nor a
forgery that is known: a person has to look at it. The smallest forgery that was measured, a learning rate that is wrong
by a percent, is off by ten limits."""

PERTURBED_PLACES: Final = 256
"""Units in the last place by which a state is perturbed: so many that some element turns over if any may; 3e-5 of a
float32, far below any update."""

_SMALLEST: Final = float(np.finfo(np.float32).tiny)
"""Types of fewer bits are computed in float32."""

STEERED_SHARE: Final = 0.25
"""A leaf is steered if last places of the state before move it by more than this share of its update. In honest steps
of the built-in tasks they move it by a hundredth at most, where a few comparisons turn over. What they move below this
share counts in what tolerances add up to."""


class Distances(msgspec.Struct, frozen=True):
    """Distances are Euclidean, between the results of one step, for one leaf or for all leaves as one vector.

    Attributes:
        update: between the committed states before and after.
        expected: between the committed state before and the reference.
        error: between the committed state after and the reference.
        between: between this machine's own results, pair by pair.
        floor: one unit in the last place of the largest element. A single element may always be off by that, even if
            the few compilations here all round it in the same way.
        limit: the largest noise and error that can pass: a share of the size.
        perturbation: between the reference and its result from a perturbed state; 0 if that was not tried, infinite
            where that result has a NaN or an infinity and the reference a number.
        rounding: what a perturbation of the state before by one unit in the last place does; 0 if that was not tried.
        nudge: what one unit in the last place of the state before does, measured by itself and not as a share of what
            many do: where a program reads last bits, one of them does as much. Infinite as `perturbation` is.
        scatter: what 1 to `PERTURBED_PLACES` units of the state before do.
        flushed: how far the elements could be off that only some devices take for 0 (`smallest_normal`).
    """

    update: float
    expected: float
    error: float
    between: tuple[float, ...]
    floor: float
    limit: float
    perturbation: float = 0.0
    rounding: float = 0.0
    nudge: float = 0.0
    scatter: float = 0.0
    flushed: float = 0.0

    @property
    def size(self) -> float:
        """Return the larger of the committed update and the one that this machine expects."""
        return max(self.update, self.expected)

    @property
    def noise(self) -> float:
        """Return the largest distance between two of this machine's own results."""
        return max(self.between, default=0.0)

    @property
    def tolerance(self) -> float:
        """Return by how much another backend's rounding may be off.

        The compilations here share most of their algorithms: another library sums in another order. What one last place
        of the state does shows how large rounding errors are that no compilation here makes.
        """
        return SAFETY_FACTOR * max(self.noise, self.floor, self.rounding)

    @property
    def is_quiet(self) -> bool:
        """Return whether the noise leaves room below the limit, so that an error at most the limit may pass.

        A program that is noisy on purpose would excuse any error else.
        """
        return SAFETY_FACTOR * self.noise <= self.limit < math.inf

    @property
    def is_clear(self) -> bool:
        """Return whether noise and floor are so far below the update that an error beyond rounding is certain."""
        return self.is_quiet and SAFETY_FACTOR * self.floor <= self.limit

    @property
    def floor_decides(self) -> bool:
        """Return whether the floor is larger than the noise, or both are 0."""
        return self.noise < self.floor or self.noise == self.floor == 0

    @property
    def reach(self) -> float:
        """Return how far an error of rounding may grow, as the perturbed state shows, or numbers may be off near 0."""
        return max(SAFETY_FACTOR * self.perturbation, self.flushed)

    @property
    def infinitesimal(self) -> bool:
        """Return whether the update can't be told from rounding: its size is not above noise and floor."""
        return self.size <= max(self.noise, self.floor)

    @property
    def is_steered(self) -> bool:
        """Return whether last places of the state before decide where the leaf goes (rule 5 of section 14.1).

        They are whatever the prover likes within the tolerance of an earlier step. A leaf that this machine can't tell
        from its own rounding is left to what tolerances add up to.
        """
        # A leaf of size 0 goes on to the rule: what does not move in the reference, but moves if last places do, is
        # steered.
        if self.infinitesimal and self.size:
            return False
        # A nudge of a few floors is plain rounding. The scatter moves elements by up to 256 places, so it says
        # something only where noise and floor are small beside the update.
        return self.nudge > max(STEERED_SHARE * self.size, SAFETY_FACTOR * self.floor) or (
            self.is_clear and self.scatter > STEERED_SHARE * self.size
        )

    @property
    def relative_error(self) -> float:
        """Return the error over the size; 0 where both are 0."""
        return _ratio(self.error, self.size)

    @property
    def relative_tolerance(self) -> float:
        """Return the tolerance over the size; 0 where both are 0."""
        return _ratio(self.tolerance, self.size)

    @property
    def clearance(self) -> float:
        """Return the update over the noise; infinite where only the noise is 0, and 0 where both are."""
        return _ratio(self.update, self.noise)


def smallest_normal(dtype: str) -> float:
    """Return below which size some devices take numbers for 0, as XLA does on CPUs, and others keep them, as on GPUs.

    Such a difference is no false step. It hinders a failure, and lets nothing pass.
    """
    return min(_SMALLEST, float(ml_dtypes.finfo(DTYPES[dtype]).tiny))  # type: ignore[no-untyped-call]


def measure_leaf(dtype: str, leaf: LeafResults) -> Distances:
    """Measure a floating-point leaf, over the elements that are finite in all results.

    An element that is not finite before the step has no update, and counts as not updated.
    """
    start, committed = doubles(leaf.before), doubles(leaf.after)
    own = [doubles(result) for result in (leaf.reference, *leaf.others)]
    # What is not finite has no distance; `pol_jax.judging.leaf_judgement` judges it before any distance counts.
    finite = np.isfinite(committed) & np.logical_and.reduce([np.isfinite(result) for result in own])
    updated = finite & np.isfinite(start)
    update, expected = norm(committed, start, updated), norm(own[0], start, updated)
    eps = float(ml_dtypes.finfo(DTYPES[dtype]).eps)  # type: ignore[no-untyped-call]
    moved = [_perturbation(own[0], doubles(each), finite) for each in leaf.perturbed]
    finite_reference = np.isfinite(own[0])  # whatever other compilations lose: a program could lose it on purpose
    nudged, scattered = (
        [_perturbation(own[0], doubles(each), finite_reference) for each in states]
        for states in (leaf.nudged, leaf.scattered)
    )
    return Distances(
        update=update,
        expected=expected,
        error=norm(committed, own[0], finite),
        between=tuple(norm(a, b, finite) for a, b in combinations(own, 2)),
        floor=eps * float(np.max(np.abs(own[0]), where=finite, initial=0.0)),
        limit=(LIMIT_SHARE if eps < FINE_EPS else COARSE_LIMIT_SHARE) * max(update, expected),
        perturbation=max(moved, default=0.0),
        # The state was off by so many places, and rounding is about one of them (section 14.1, "rounding").
        rounding=max((each for each in moved[: leaf.rounded] if math.isfinite(each)), default=0.0) / PERTURBED_PLACES,
        nudge=max(nudged, default=0.0),
        scatter=max(scattered, default=0.0),
        flushed=smallest_normal(dtype) * math.sqrt(np.count_nonzero(finite)),
    )


def total_distances(leaves: Sequence[Distances]) -> Distances:
    """Return the distances of all leaves as one vector; floors and limits add up like distances."""
    return Distances(
        update=math.hypot(*(leaf.update for leaf in leaves)),
        expected=math.hypot(*(leaf.expected for leaf in leaves)),
        error=math.hypot(*(leaf.error for leaf in leaves)),
        between=tuple(math.hypot(*pair) for pair in zip(*(leaf.between for leaf in leaves), strict=True)),
        floor=math.hypot(*(leaf.floor for leaf in leaves)),
        limit=math.hypot(*(leaf.limit for leaf in leaves)),
        perturbation=math.hypot(*(leaf.perturbation for leaf in leaves)),
        rounding=math.hypot(*(leaf.rounding for leaf in leaves)),
        nudge=math.hypot(*(leaf.nudge for leaf in leaves)),
        scatter=math.hypot(*(leaf.scatter for leaf in leaves)),
        flushed=math.hypot(*(leaf.flushed for leaf in leaves)),
    )


def _perturbation(reference: Flat, perturbed: Flat, where: Bool[np.ndarray, " n"]) -> float:
    """Return the distance to a perturbed result; infinite if that is not finite where the reference is."""
    return norm(reference, perturbed, where) if np.isfinite(perturbed[where]).all() else math.inf


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.inf if part else 0.0

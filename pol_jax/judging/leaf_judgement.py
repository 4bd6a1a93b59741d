"""One leaf of a step is judged by the rules of section 14.1 of the protocol.

A leaf of rounded values is measured, and its error is held against four numbers:

- the **tolerance**: what rounding by another backend may be off, by what this machine's compilations differ in;
- the **limit**: the largest tolerance that decides, a small share of the update. Without it, a program that is noisy on
  purpose would excuse any error;
- the **reach**: what rounding may have grown to. It only hinders a failure, and lets nothing pass;
- zero: a leaf with the reference's very bits needs no tolerance.

A leaf without rounding (integers, bools, PRNG keys) is equal or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from pol_jax.judging.leaf_distances import FAILURE_FACTOR, Distances, measure_leaf
from pol_jax.judging.leaf_numbers import is_floating, same_non_finite
from pol_jax.judging.leaf_results import LeafResults, odd_nans, odd_zeros
from pol_jax.judging.magnitude_groups import ENOUGH, MagnitudeGroup, measure_groups
from pol_jax.protocol.distances import finite
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.comparison import Room
from pol_jax.reports.outcomes import Outcome


class LeafComparison(msgspec.Struct, frozen=True):
    """A leaf comparison is the judgement on one leaf.

    Attributes:
        path: JSON pointer.
        outcome: passed, failed or inconclusive.
        reason: why, in words.
        distances: None for a leaf that is compared exactly.
        rooms: by how much elements of each magnitude could be off in a false step that passes like this one; none for
            an exact leaf.
        is_open: whether the bits of the reference would not settle it either: last places of the state before decide
            it, or compilations here disagree on what is finite.
    """

    path: str
    outcome: Outcome
    reason: str
    distances: Distances | None
    rooms: tuple[Room, ...] = ()
    is_open: bool = False


def judge_leaf(spec: LeafSpec, leaf: LeafResults, *, may_be_noise: bool, places: float = 1.0) -> LeafComparison:
    """Judge one leaf.

    Args:
        spec: of the leaf.
        leaf: its results.
        may_be_noise: whether the leaf need not be judged where its noise is as large as its update.
        places: by how many units in the last place an element may be off, whatever the noise.
    """
    if not is_floating(spec.dtype):
        outcome, reason = _judge_exactly(leaf)
        changed = any(not np.array_equal(leaf.reference, each) for each in leaf.nudged)
        steered = "it changes with one last place of the state before" if changed else None
        return _unless_steered(LeafComparison(spec.path, outcome, reason, None), steered)
    distances = measure_leaf(spec.dtype, leaf)
    # Before any tolerance: a learning rate of 0, or a frozen layer, would else excuse an error of one floor in each
    # step.
    if leaf.is_unmoved:
        found = LeafComparison(spec.path, *_judge_unmoved(leaf, distances), distances)
        return _unless_steered(found, _describe_steered(distances, ()))
    not_finite = _judge_non_finite(leaf)
    outcome, reason = not_finite or (_judge_distances(distances, may_be_noise), describe_numbers(distances))
    groups = measure_groups(spec.dtype, leaf, places=places)
    rooms = tuple(Room(group.magnitude, finite(group.room)) for group in groups)
    # Rule 3 of section 14.1: the norm of a whole leaf is blind to small elements beside a large one.
    if outcome is Outcome.PASSED and distances.error > 0:
        outcome, reason = _judge_groups(groups) or (outcome, reason)
    # The last sentence of rule 2: two zeros are at distance 0, and 1 / x tells them apart.
    if outcome is Outcome.PASSED and (odd := odd_zeros(leaf)):
        outcome, reason = (
            Outcome.INCONCLUSIVE,
            f"{odd} zeros with another sign than here, on which a later step may depend",
        )
    found = LeafComparison(spec.path, outcome, reason, distances, rooms, is_open=not_finite is not None)
    return _unless_steered(found, _describe_steered(distances, groups))


def judge_metric(
    committed: np.float32, own: Sequence[np.float32], perturbed: Sequence[np.float32]
) -> tuple[Outcome, str]:
    """Judge a metric of a step: a leaf of one number, which is an update from nothing.

    A metric is no part of the state, so nothing can be hidden in it: its tolerance may be beyond its limit.

    Args:
        committed: the ledger's.
        own: this machine's, the reference's first.
        perturbed: the reference's from perturbed states.
    """
    after, reference, *others = (np.array([loss]) for loss in (committed, *own))
    leaf = LeafResults(
        before=np.zeros(1, np.float32),
        after=after,
        reference=reference,
        others=others,
        perturbed=[np.array([loss]) for loss in perturbed],
    )
    if unlike := _judge_non_finite(leaf):
        return unlike
    distances = measure_leaf("float32", leaf)
    if distances.error <= distances.tolerance:
        return Outcome.PASSED, ""
    return _failed_if(is_beyond_rounding(distances)), describe_numbers(distances)


def describe_divergence(spec: LeafSpec, leaf: LeafResults) -> str | None:
    """Say how a committed leaf diverges from this machine's; None if every group of elements is as near as rounding.

    This only asks how near results are, whatever the step's own update is.
    """
    if not is_floating(spec.dtype):
        return None if np.array_equal(leaf.reference, leaf.after) else "differs; its type has no rounding"
    if not same_non_finite(leaf.reference, leaf.after):
        return "NaN or infinity where this machine has a number, or the reverse"
    found = _judge_groups(measure_groups(spec.dtype, leaf))
    return found[1] if found else None


def is_within_tolerance(found: Distances) -> bool:
    """Return whether an error passes with other bits: it is at most tolerance and limit, and the noise leaves room."""
    return found.is_quiet and found.error <= min(found.tolerance, found.limit)


def is_beyond_rounding(found: Distances) -> bool:
    """Return whether an error is beyond everything that rounding is known to do; only such a distance fails."""
    return found.error > max(found.tolerance, FAILURE_FACTOR * found.limit, found.reach)


def describe_numbers(found: Distances) -> str:
    """Return the numbers that decide, in words."""
    limit = f"limit {found.limit:.1e}, update {found.update:.1e}"
    return f"error {found.error:.1e}, tolerance {found.tolerance:.1e}, {limit}"


def _judge_exactly(leaf: LeafResults) -> tuple[Outcome, str]:
    """Judge a leaf without rounding, which has no tolerance.

    It can still depend on rounded values: a count of hits does.
    """
    if np.array_equal(leaf.reference, leaf.after):
        return Outcome.PASSED, "equal"
    if not all(np.array_equal(leaf.reference, other) for other in leaf.others):
        return Outcome.INCONCLUSIVE, "differs between compilations here"
    # Where last places of the state change the integers, rounding may have changed them too.
    certain = all(np.array_equal(leaf.reference, each) for each in leaf.perturbed)
    return _failed_if(certain), "differs; its type has no rounding"


def _judge_unmoved(leaf: LeafResults, found: Distances) -> tuple[Outcome, str]:
    """Judge a leaf that no compilation changes (rule 2): where nothing is computed, nothing is rounded."""
    if leaf.is_exact:
        return Outcome.PASSED, "unchanged"
    if unlike := _judge_non_finite(leaf):
        return unlike
    return _failed_if(found.error > max(found.tolerance, found.reach)), f"no step changes it; {describe_numbers(found)}"


def _judge_non_finite(leaf: LeafResults) -> tuple[Outcome, str] | None:
    """Judge NaNs and infinities; None where the committed leaf has them where this machine has them.

    They have no distance. Rounding moves a value over the edge of a dtype only where a training is lost anyway, or
    chaotic; so where all compilations here agree on them, the committed leaf must too.
    """
    if not all(same_non_finite(leaf.reference, other) for other in leaf.others):
        return Outcome.INCONCLUSIVE, "NaN or infinity under some compilations here, but not under all"
    if same_non_finite(leaf.reference, leaf.after):
        odd = odd_nans(leaf)
        return (
            (Outcome.INCONCLUSIVE, f"{odd} NaNs with other bits than here; any data could be in them") if odd else None
        )
    certain = all(same_non_finite(leaf.reference, each) for each in leaf.perturbed)
    return _failed_if(certain), "NaN or infinity where this machine has a number, or the reverse"


def _judge_distances(found: Distances, may_be_noise: bool) -> Outcome:
    """Judge a leaf by its distances; it fails by itself only where its own noise leaves no doubt."""
    # An error of 0 needs no tolerance, so it passes where the noise leaves no room (rule 1).
    if found.error == 0 or is_within_tolerance(found):
        return Outcome.PASSED
    # The leaf is noise-dominated: this machine's results and the committed one are all within the noise of the state
    # before, so nothing can be hidden in it. That holds for the noise of rounding in one step or below one unit in the
    # last place. It does not hold for noise that has grown over several steps to the size of the update.
    if found.infinitesimal and (may_be_noise or found.floor_decides):
        return Outcome.PASSED
    # A leaf with much noise of its own may be off for a reason that was not seen here: that is undecided, not false.
    return _failed_if(found.is_clear and is_beyond_rounding(found))


def _judge_groups(groups: Sequence[MagnitudeGroup]) -> tuple[Outcome, str] | None:
    """Judge a leaf that passes as a whole by its groups of like magnitude; None if all of them pass.

    A few elements show too little of the noise to say that an error is none; then only more of them can fail.
    """
    off = [group for group in groups if group.error > group.bound]
    if not off:
        return None
    # Only groups that show their noise well, and whose tolerance is below the limit, can fail by themselves.
    failed = [
        group
        for group in off
        if group.count >= ENOUGH
        and group.tolerance <= group.limit
        and group.error > max(group.bound, FAILURE_FACTOR * group.limit, group.reach)
    ]
    worst = max(failed or off, key=lambda group: group.error - group.bound)
    numbers = f"error {worst.error:.1e}, allowed {worst.bound:.1e}, update {worst.update:.1e}"
    return _failed_if(bool(failed)), f"{worst.count} elements of like magnitude: {numbers}"


def _describe_steered(found: Distances, groups: Sequence[MagnitudeGroup]) -> str | None:
    """Say how far last places of the state before move a leaf, or a group of it, if they decide where it goes."""
    what, moved, update = "it", max(found.nudge, found.scatter), found.size
    if not found.is_steered:
        steered = [group for group in groups if group.is_steered]
        if not steered or (found.infinitesimal and found.size):
            return None
        worst = max(steered, key=lambda group: group.nudge)
        what, moved, update = f"{worst.count} elements of like magnitude in it", worst.nudge, worst.update
    by = f"move {what} by {moved:.1e}" if math.isfinite(moved) else f"make {what} infinite or NaN"
    update_words = f"and the step's update is {update:.1e}" if update else "which the step itself leaves as it is"
    return f"changes in last places of the state before {by}, {update_words}: they decide the result"


def _unless_steered(found: LeafComparison, steered: str | None) -> LeafComparison:
    """Return the judgement, in which a leaf passes only if last places of the state before don't decide it.

    They are what the tolerance of an earlier step leaves to the prover, whether or not the bits are equal here.
    """
    if steered is None:
        return found
    if found.outcome is Outcome.PASSED:
        found = msgspec.structs.replace(found, outcome=Outcome.INCONCLUSIVE, reason=steered)
    return msgspec.structs.replace(found, is_open=True)


def _failed_if(certain: bool) -> Outcome:
    """Return the outcome of what does not pass: it fails only where no known rounding would give the same."""
    return Outcome.FAILED if certain else Outcome.INCONCLUSIVE

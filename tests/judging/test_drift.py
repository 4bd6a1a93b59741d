"""How far a run went, and how much of that tolerances and unchecked segments leave open."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from pol_jax.judging.displacement import Displacement
from pol_jax.judging.drift import (
    LARGEST_SHARE,
    Trajectory,
    count_infinitesimal,
    drift_objection,
    drift_of,
    drift_of_opening,
)
from pol_jax.judging.tolerated import Tolerated
from pol_jax.protocol.policies import AllSegments, JointSegments, ListedSegments, RandomSegments
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.reports.comparison import Compared, Room
from pol_jax.reports.curves import Update
from pol_jax.reports.outcomes import Outcome


def trajectory(*sizes: float) -> Trajectory:
    """A trajectory along a line, by steps of these sizes, a checkpoint every 10 steps."""
    found, at = Trajectory((LeafSpec("", "float64", (1,), (1,), None),)), 0.0
    found.add(0, [np.array([0.0])])
    for place, size in enumerate(sizes, 1):
        at += size
        found.add(10 * place, [np.array([at])])
    return found


def test_a_course_has_updates_and_a_distance() -> None:
    found = trajectory(3.0, -1.0, 2.0)
    assert [(each.start, each.stop, each.magnitude) for each in found.updates] == [(0, 10, 3), (10, 20, 1), (20, 30, 2)]
    assert [leaf.distance for leaf in found.displacements or []] == [4.0]
    assert trajectory().displacements is None
    assert trajectory(math.nan).updates == [Update(0, 10, None)]


def test_unchecked_updates_add_up() -> None:
    """All of them, where the prover foresees what is checked; the largest that a draw may have missed, else."""
    steps = trajectory(*(float(size) for size in range(1, 11)))
    checked = [Span(0, 10), Span(90, 100)]
    listed = drift_of(steps, ListedSegments((0, 9)), 10, checked, Tolerated((), 100), None)
    assert (listed.unchecked, listed.confidence, listed.path, listed.tolerated) == (44.0, None, 55.0, 0.0)
    drawn = drift_of(steps, RandomSegments(0.9, 0.35), 10, checked, Tolerated((), 100), None)
    assert (drawn.unchecked, drawn.confidence) == (9.0 + 8.0 + 7.0, 0.9)  # with 4 of 10 false, 90% sure to meet one
    whole = drift_of(steps, AllSegments(), 10, [Span(0, 100)], Tolerated((), 100), None)
    assert (whole.unchecked, whole.confidence) == (0.0, None)
    assert drift_of(steps, JointSegments(1, "l2", 0.9, 0.05), 10, checked, Tolerated((), 100), None).unchecked == 0.0


def test_an_update_without_a_size_bounds_nothing() -> None:
    found = drift_of(trajectory(1.0, math.nan, 1.0), ListedSegments((0,)), 3, [Span(0, 10)], Tolerated((), 30), None)
    assert (found.unchecked, found.path) == (None, None)


def test_infinitesimal_updates_are_counted() -> None:
    assert count_infinitesimal([1.0, 2.0, 1.5, 1e-9, None]) == 1
    assert count_infinitesimal([]) == 0


def compared(start: int, stop: int, tolerance: float, limit: float, outcome: Outcome = Outcome.PASSED) -> Compared:
    rooms = ((Room(0, min(tolerance, limit) / 1000),),)
    return Compared(start, stop, outcome, (), 1.0, 0.0, tolerance, limit, 0.0, 0.0, 0.0, 0.0, False, rooms=rooms)


def test_tolerances_add_up_over_the_run() -> None:
    passed = [compared(-1, 0, 9, 9), compared(0, 1, 0.5, 0.1), compared(7, 8, 0.2, 0.4)]
    assert Tolerated(passed, 100).distance == pytest.approx((0.1 + 0.2) / 2 * 100)
    assert Tolerated([compared(0, 1, 1.0, 1.0, Outcome.INCONCLUSIVE)], 100).distance is None
    assert Tolerated([], 100).distance == 0
    found = drift_of(trajectory(3.0), AllSegments(), 1, [], Tolerated(passed, 100), None)
    assert drift_objection(found) is not None
    assert drift_objection(msgspec.structs.replace(found, tolerated=LARGEST_SHARE * 3.0)) is None
    assert drift_objection(msgspec.structs.replace(found, tolerated=LARGEST_SHARE * 3.0, d_ref=2.9)) is not None
    unknown = drift_objection(msgspec.structs.replace(found, distance=None))
    assert unknown is not None
    assert "is not known" in unknown


def test_no_leaf_excuses_another() -> None:
    """A counter, or a parameter that runs far, carried a steered leaf in a total."""
    spec = tuple(LeafSpec(path, "float64", (1,), (1,), None) for path in ("/params", "/count"))
    passed = [msgspec.structs.replace(compared(0, 1, 0.5, 0.1), rooms=((Room(0, 0.2),), ()))]
    leaf, share = Tolerated(passed, 10).largest_share(spec, [gone(100.0), gone(1e6)])
    assert leaf == "/params"
    assert share == pytest.approx(0.02)
    assert Tolerated(passed, 10).largest_share(spec, [gone(0.0), gone(1e6)]) == ("/params", None)
    assert Tolerated(passed, 10).largest_share(spec, None) == (None, None)
    assert Tolerated([], 10).largest_share(spec, None) == (None, 0.0)
    drift = drift_of_opening([1.0], spec, [gone(1.0), gone(1e6)], Tolerated(passed, 10), None)
    objection = drift_objection(drift)
    assert objection is not None
    assert objection.startswith("tolerances add up to 200.0% of the distance of leaf /params")
    drift = drift_of_opening([1.0], spec, [gone(100.0), gone(1e6)], Tolerated(passed, 10), None)
    assert drift_objection(drift) is None


def gone(distance: float) -> Displacement:
    return Displacement({0: distance}, {0: int(distance > 0)})


def trajectory_of(dtype: str, *states: list[complex]) -> Trajectory:
    trajectory = Trajectory((LeafSpec("/w", dtype, (2,), (1,), None), LeafSpec("/c", "int32", (1,), (1,), None)))
    for step, state in enumerate(states):
        trajectory.add(step, [np.array(state, DTYPES[dtype]), np.array([step], np.int32)])
    return trajectory


def distances(trajectory: Trajectory) -> list[float]:
    return [leaf.distance for leaf in trajectory.displacements or []]


def test_what_is_never_finite_takes_no_bound_away() -> None:
    """A program may keep a leaf that is no number for that alone."""
    trajectory = trajectory_of("float32", [0, np.nan], [1, np.nan], [3, np.nan])
    assert distances(trajectory) == [3, 2]  # the integers count up
    assert distances(trajectory_of("float32", [0, np.inf], [4, 1])) == [4, 1]
    drift = drift_of(trajectory, AllSegments(), 2, [], Tolerated([], 2), None)
    assert drift.distance == 3
    assert drift_objection(msgspec.structs.replace(drift, tolerated=0.31))
    assert not drift_objection(msgspec.structs.replace(drift, tolerated=0.29))


def test_complex_leaves_go_some_way() -> None:
    assert distances(trajectory_of("complex64", [0, 1], [3j, 5])) == [5, 1]

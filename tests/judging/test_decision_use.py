"""What wrong choices at near ties could move is added to what a false step could hide."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from example_reports import compared
from made_steps import made, spec_of

from pol_jax.judging.decision_use import choice_rooms, total_choices, with_choices
from pol_jax.reports.comparison import Room, UsedDecisions
from pol_jax.reports.outcomes import Outcome

SPEC = spec_of("float32", "int32", size=4)


def states(*leaves: list[float]) -> list[list[np.ndarray]]:
    return [[np.array(leaf, np.float32), np.zeros(4, np.int32)] for leaf in leaves]


def test_the_distances_of_parts_are_added() -> None:
    own, first, second = states([1, 1, 1, 1], [1.5, 1, 1, 1], [1, 0.75, 1, 1])
    floats, integers = choice_rooms(SPEC, own, [first, second])
    assert integers == ()
    assert [room.size for room in floats] == [pytest.approx(0.75)]
    assert total_choices([floats, integers]) == pytest.approx(0.75)


def test_a_small_element_has_a_room_of_its_own() -> None:
    own, turned = states([1e6, 1, 1, 1], [1e6, 1.5, 1, 1])
    floats, _ = choice_rooms(SPEC, own, [turned])
    assert sorted(room.size or 0 for room in floats) == [0, 0.5]


def test_a_number_that_is_lost_could_be_anywhere() -> None:
    own, turned = states([1, 1, 1, 1], [1, math.nan, 1, 1])
    choices = choice_rooms(SPEC, own, [turned])
    assert choices[0][0].size is None
    assert total_choices(choices) is None


def test_what_tolerances_allow_includes_the_choices() -> None:
    plain = compared(1, 1e-6)
    decided = msgspec.structs.replace(plain, decisions=UsedDecisions(3, 2, 0.5, 0.25, None))
    assert decided.allowed == (plain.allowed or 0) + 0.25
    unbounded = msgspec.structs.replace(plain, decisions=UsedDecisions(3, 2, 0.5, None, None))
    assert unbounded.allowed is None


def test_rooms_of_a_step_that_passes_grow() -> None:
    step = made()
    plain = step.compared(after=step.reference)
    assert plain.outcome is Outcome.PASSED
    wider = with_choices(plain, [(Room(0, 0.5), Room(99, 0.25))] * 3)
    for before, after in zip(plain.leaves, wider.leaves, strict=True):
        sizes = {room.magnitude: room.size for room in before.rooms}
        expected = {**sizes, 0: (sizes.get(0) or 0.0) + 0.5, 99: 0.25}
        assert {room.magnitude: room.size for room in after.rooms} == pytest.approx(expected)

"""What wrong choices at near ties could move is added to what a false step could hide."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from example_reports import compared
from made_steps import spec_of

from pol_jax.judging.decision_use import choice_rooms, total_choices, used_share
from pol_jax.reports.comparison import UsedDecisions

SPEC = spec_of("float32", "int32", size=4)


def states(*leaves: list[float]) -> list[list[np.ndarray]]:
    return [[np.array(leaf, np.float32), np.zeros(4, np.int32)] for leaf in leaves]


def test_the_distances_of_parts_are_added() -> None:
    own, first, second = states([1, 1, 1, 1], [1.5, 1, 1, 1], [1, 0.75, 1, 1])
    floats, integers = choice_rooms(SPEC, own, [first, second])
    assert [room.size for room in integers] == [0]
    assert [room.size for room in floats] == [pytest.approx(0.75)]
    assert total_choices(SPEC, [floats, integers]) == pytest.approx(0.75)


def test_a_small_element_has_a_room_of_its_own() -> None:
    own, turned = states([1e6, 1, 1, 1], [1e6, 1.5, 1, 1])
    floats, _ = choice_rooms(SPEC, own, [turned])
    assert sorted(room.size or 0 for room in floats) == [0, 0.5]


def test_a_number_that_is_lost_could_be_anywhere() -> None:
    own, turned = states([1, 1, 1, 1], [1, math.nan, 1, 1])
    choices = choice_rooms(SPEC, own, [turned])
    assert choices[0][0].size is None
    assert total_choices(SPEC, choices) is None


def test_integers_that_choices_move_have_a_room() -> None:
    """Weights may be integers, which what is decided counts up or down."""
    (own,) = states([1, 1, 1, 1])
    floats, integers = choice_rooms(SPEC, own, [[own[0], np.array([0, 3, 4, 0], np.int32)]])
    assert [room.size for room in floats] == [0]
    assert math.hypot(*(room.size or 0 for room in integers)) == pytest.approx(5.0)
    assert total_choices(SPEC, [floats, integers]) == 0  # they are no distance of floating-point leaves
    wide, large = spec_of("int64", size=2), np.array([2**60, 0])
    assert choice_rooms(wide, [large], [[large + np.array([1, 0])]])[0][0].size is None  # both are the same double
    assert [room.size for room in choice_rooms(wide, [large], [[large]])[0]] == [0, 0]


def test_what_tolerances_allow_includes_the_choices() -> None:
    plain = compared(1, 1e-6)
    decided = msgspec.structs.replace(plain, decisions=UsedDecisions(3, 2, 0.5, 0.25, None))
    assert decided.allowed() == (plain.allowed() or 0) + 0.25
    unbounded = msgspec.structs.replace(plain, decisions=UsedDecisions(3, 2, 0.5, None, None))
    assert unbounded.allowed() is None


def test_the_share_of_the_choices_that_entries_took() -> None:
    plain, decided = states([1, 1, 1, 1], [1, 1.25, 1, 1])
    choices = choice_rooms(SPEC, plain, states([1, 1.5, 1, 1]))
    assert used_share(SPEC, plain, decided, choices) == pytest.approx(0.5)
    assert used_share(SPEC, plain, plain, choices) == 0
    assert used_share(SPEC, plain, decided, [(), ()]) == 1  # further than near ties could lead
    lost = states([1, math.nan, 1, 1])[0]
    assert used_share(SPEC, plain, lost, choices) == 1
    counted = [plain[0], plain[1] + 1]
    assert used_share(SPEC, plain, counted, choices) == 1

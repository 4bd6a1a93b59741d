"""What wrong choices at near ties could move is added to what a false step could hide."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from example_reports import compared
from hypothesis import given, settings
from hypothesis import strategies as st
from made_steps import spec_of

from pol_jax.judging.decision_use import choice_rooms, counted_share, rooms_with_choices, total_choices, used_share
from pol_jax.protocol.spans import Span
from pol_jax.reports.comparison import Compared, Room, UsedDecisions

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


def test_rooms_grow_by_the_counted_share_of_the_choices() -> None:
    plain = msgspec.structs.replace(compared(1, 1e-6), rooms=((Room(0, 0.5), Room(1, 2.0)), ()))
    used = UsedDecisions(3, 2, 0.5, 0.25, None, rooms=((Room(0, 0.25), Room(9, 1.0)), (Room(3, None),)))
    decided = msgspec.structs.replace(plain, decisions=used)
    assert rooms_with_choices(plain, 0, 1.0) == plain.rooms[0]
    assert rooms_with_choices(decided, 0, 0.5) == (Room(0, 0.625), Room(1, 2.0), Room(9, 0.5))
    assert rooms_with_choices(decided, 1, 0.5) == (Room(3, None),)


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


def drawn_with(*shares: float) -> tuple[list[Compared], list[Span]]:
    """Comparisons of a draw of 90 steps, in some of which entries took these shares."""
    spans = [Span(at, at + 1) for at in range(90)]
    found = [
        msgspec.structs.replace(compared(at + 1, 1e-6), decisions=UsedDecisions(3, 2, 0.5, 0.25, None, share=share))
        for at, share in enumerate(shares)
    ]
    return found, spans


def test_a_draw_shows_how_much_a_prover_chose() -> None:
    assert counted_share(*drawn_with(), 0.99) == pytest.approx(1 - 0.01 ** (1 / 90))
    few, more, every = (counted_share(*drawn_with(*[1.0] * count), 0.99) for count in (1, 9, 90))
    assert 1 - 0.01 ** (1 / 90) < few < more < every
    assert every == 1
    assert counted_share(*drawn_with(0.5), 0.99) < few
    assert counted_share(*drawn_with(), 0.9999) > counted_share(*drawn_with(), 0.99)
    assert counted_share([], [], 0.99) == 1  # the prover could foresee what is checked


@settings(max_examples=20)
@given(large=st.floats(1, 1e6), count=st.integers(1, 30), other=st.floats(0, 1))
def test_choices_in_the_steps_that_move_most_are_not_lost_in_the_mean(large: float, count: int, other: float) -> None:
    """A prover chooses in full where near ties could move much, and hardly elsewhere."""
    shares, sizes = [1.0] * count + [other] * (90 - count), [large] * count + [1.0] * (90 - count)
    found, spans = drawn_with(*shares)
    found = [
        msgspec.structs.replace(each, decisions=msgspec.structs.replace(each.decisions, choices=size))
        for each, size in zip(found, sizes, strict=True)
        if each.decisions is not None
    ]
    moved = sum(share * size for share, size in zip(shares, sizes, strict=True))
    assert counted_share(found, spans, 0.99) * sum(sizes) >= moved * (1 - 1e-9)
    unbounded = msgspec.structs.replace(found[0], decisions=UsedDecisions(3, 2, 0.5, None, None, share=1.0))
    assert counted_share([unbounded, *found[1:]], spans, 0.99) == 1


@given(rate=st.floats(0, 1), seed=st.integers(0, 999))
def test_the_counted_share_covers_what_a_prover_does(rate: float, seed: int) -> None:
    """With the draw's confidence; here it is 1 - 1e-9, so that no case of a test is beyond it."""
    hits = np.random.default_rng(seed).random(90) < rate
    found, spans = drawn_with(*hits.astype(float).tolist())
    assert counted_share(found, spans, 1 - 1e-9) >= rate

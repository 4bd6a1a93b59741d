"""What tolerances add up to: the comparisons of a random draw stand for the run."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.judging.displacement import Displacement
from pol_jax.judging.tolerated import Tolerated
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.comparison import Compared, Room, UsedDecisions
from pol_jax.reports.outcomes import Outcome

SPEC = (LeafSpec("/params", "float64", (1,), (1,), None),)
GONE = [Displacement({0: 1.0}, {0: 1})]


def passed(stop: int, tolerance: float, decisions: UsedDecisions | None = None) -> Compared:
    rooms = ((Room(0, tolerance / 1000),),)
    found = Compared(
        stop - 1, stop, Outcome.PASSED, (), 1.0, 0.0, tolerance, tolerance, 0.0, 0.0, 0.0, 0.0, False, rooms=rooms
    )
    return msgspec.structs.replace(found, decisions=decisions)


def test_the_steps_of_a_random_draw_stand_for_the_run_and_its_ends_for_themselves() -> None:
    """The first step is in every challenge: its large update, and what that may be off, is no mean of the others."""
    first, drawn, other = passed(1, 5.0), passed(7, 0.1), passed(4, 0.3)
    found = Tolerated([first, drawn, other], 100, {Span(6, 7), Span(3, 4), Span(8, 9)})
    assert found.distance == pytest.approx(5.0 + 0.2 * 100)
    assert found.largest_share(SPEC, GONE)[1] == pytest.approx((5.0 + 0.2 * 100) / 1000)


def test_an_end_that_was_drawn_stands_for_the_run_too() -> None:
    assert Tolerated([passed(1, 5.0)], 100, {Span(0, 1)}).distance == pytest.approx(500.0)
    assert Tolerated([passed(1, 5.0)], 100, {Span(6, 7)}).distance == pytest.approx(5.0)


def test_listed_steps_stand_for_the_run() -> None:
    assert Tolerated([passed(1, 5.0)], 100).distance == pytest.approx(500.0)


def test_choices_count_by_their_share() -> None:
    used = UsedDecisions(3, 2, 0.5, 2.0, None, 0.0, rooms=((Room(0, 2.0),),))
    for chosen in (0.0, 0.25, 1.0):
        found = Tolerated([passed(1, 5.0, used)], 10, None, chosen)
        assert found.distance == pytest.approx((5.0 + 2.0 * chosen) * 10)
        assert found.largest_share(SPEC, GONE)[1] == pytest.approx((0.005 + 2.0 * chosen) * 10)


def test_what_was_seen_to_be_chosen_counts_whole() -> None:
    """In the last step, which stands for itself, and in a drawn one, whatever was chosen in others that move less."""
    used = UsedDecisions(3, 2, 0.5, 2.0, None, 0.75, rooms=((Room(0, 2.0),),))
    for drawn, times in ({Span(3, 4)}, 1), ({Span(9, 10)}, 10):
        found = Tolerated([passed(10, 0.0, used)], 10, drawn, 0.05)
        assert found.distance == pytest.approx(1.5 * times)
        assert found.largest_share(SPEC, GONE)[1] == pytest.approx(1.5 * times)


def test_leaves_that_do_not_matter_are_left_out() -> None:
    """A momentum ends near 0, where it began: whatever it may be off is more than its way."""
    spec = (*SPEC, LeafSpec("/momentum", "float64", (1,), (1,), None))
    found = msgspec.structs.replace(passed(1, 5.0), rooms=((Room(0, 0.005),), (Room(0, 0.005),)))
    gone = [*GONE, Displacement({0: 1e-4}, {0: 1})]
    assert Tolerated([found], 1).largest_share(spec, gone)[1] == pytest.approx(50.0)
    assert Tolerated([found], 1, leaves=[0]).largest_share(spec, gone)[1] == pytest.approx(0.005)

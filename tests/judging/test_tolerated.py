"""What tolerances add up to: the comparisons of a random draw stand for the run."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.judging.choice_bound import mean_choice
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
    found = Tolerated([first, drawn, other], 100, [Span(6, 7), Span(3, 4), Span(8, 9)])
    assert found.distance == pytest.approx(5.0 + 0.2 * 100)
    assert found.largest_share(SPEC, GONE)[1] == pytest.approx((5.0 + 0.2 * 100) / 1000)


def test_an_end_that_was_drawn_stands_for_the_run_too() -> None:
    assert Tolerated([passed(1, 5.0)], 100, [Span(0, 1)]).distance == pytest.approx(500.0)
    assert Tolerated([passed(1, 5.0)], 100, [Span(6, 7)]).distance == pytest.approx(5.0)


def test_listed_steps_stand_for_the_run() -> None:
    assert Tolerated([passed(1, 5.0)], 100).distance == pytest.approx(500.0)


def used(choices: float | None, share: float) -> UsedDecisions:
    return UsedDecisions(3, 2, 0.5, choices, None, share, rooms=((Room(0, choices),),))


def test_choices_in_listed_steps_count_whole() -> None:
    found = Tolerated([passed(1, 5.0, used(2.0, 0.0))], 10)
    assert found.distance == pytest.approx((5.0 + 2.0) * 10)
    assert found.largest_share(SPEC, GONE)[1] == pytest.approx((0.005 + 2.0) * 10)


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, 0.5), (0.0, 1.0)])
def test_choices_in_drawn_steps_count_by_what_the_draw_shows(shares: tuple[float, float]) -> None:
    """The most that ties could move in any of them counts, however little they could in those that chose."""
    drawn = [Span(at, at + 1) for at in range(20)]
    steps = [passed(1, 0.0, used(1.0, shares[0])), passed(2, 0.0, used(4.0, shares[1]))]
    counted = mean_choice([shares[0] * 1.0, shares[1] * 4.0], 4.0, 20, 0.9)
    assert Tolerated(steps, 100, drawn, 0.9).distance == pytest.approx(100 * counted)
    assert Tolerated(steps, 100, drawn, 0.9).largest_share(SPEC, GONE)[1] == pytest.approx(100 * counted)


def test_what_was_seen_to_be_chosen_counts_whole() -> None:
    """In the last step, which stands for itself, whatever was chosen in others; and what is not known, for anything."""
    end = passed(10, 0.0, used(2.0, 0.75))
    assert Tolerated([end], 10, [Span(3, 4)], 0.9).distance == pytest.approx(1.5)
    assert Tolerated([end], 10, [Span(3, 4)], 0.9).largest_share(SPEC, GONE)[1] == pytest.approx(1.5)
    unknown = Tolerated([passed(10, 0.0, used(None, 0.0))], 10, [Span(9, 10)], 0.9)
    assert (unknown.distance, unknown.largest_share(SPEC, GONE)) == (None, ("/params", None))


def test_leaves_that_do_not_matter_are_left_out() -> None:
    """A momentum ends near 0, where it began: whatever it may be off is more than its way."""
    spec = (*SPEC, LeafSpec("/momentum", "float64", (1,), (1,), None))
    found = msgspec.structs.replace(passed(1, 5.0), rooms=((Room(0, 0.005),), (Room(0, 0.005),)))
    gone = [*GONE, Displacement({0: 1e-4}, {0: 1})]
    assert Tolerated([found], 1).largest_share(spec, gone)[1] == pytest.approx(50.0)
    assert Tolerated([found], 1, leaves=[0]).largest_share(spec, gone)[1] == pytest.approx(0.005)

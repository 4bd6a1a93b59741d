"""How much could still be false, in words: one line for each fact, and none that says more than is known."""

from __future__ import annotations

from typing import Any

import msgspec
from example_reports import compared, unfinished

from pol_jax.reports.comparison import UsedDecisions
from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.dependence import Dependence
from pol_jax.reports.drift import Drift
from pol_jax.reports.states import NonFinite
from pol_jax.reports.wording.drift import describe_drift

EXACT = Drift(2.0, 3.0, 0.0, None, 0.0, None, 4, 0)
DISTANCE = "the distance from the initial to the final state is 2"
NO_TOLERANCE = "no tolerance was needed: everything that was replayed is the same bit for bit"


def told(drift: Drift | None, *, left: int = 0, **facts: Any) -> list[str]:
    """The lines of a report on a run of four segments, of which so many were left out."""
    covered = Coverage("segment", 4, tuple(range(4 - left)), 24, 6 * (4 - left), 0.05, 1.0)
    known = {"drift": drift, "coverage": covered, "replays": (Replay(0, 0, 6, None, ()),)}
    return describe_drift(unfinished(**(known | facts)))


def test_equal_bits_need_no_tolerance() -> None:
    assert told(EXACT) == [DISTANCE, NO_TOLERANCE]
    assert told(None) == []


def test_no_line_says_that_bits_are_equal_where_some_are_not() -> None:
    wrong = Replay(0, 0, 6, 3, ("loss",))
    for facts in ({"replays": (wrong,)}, {"self_test": wrong}, {"replays": ()}, {"compared": (compared(1, 0.0),)}):
        assert told(EXACT, **facts) == [DISTANCE]


def test_a_distance_that_is_not_finite_is_told_first() -> None:
    lost: dict[str, Any] = {"non_finite": (NonFinite("/w", 1, 3),)}
    words = "the distance from the initial to the final state is not finite"
    assert told(EXACT, **lost)[0] == f"{words}; over the values that are finite in both it is 2"
    assert told(msgspec.structs.replace(EXACT, distance=None), **lost)[0] == words


def test_what_was_not_checked_could_be_false() -> None:
    open_ended = msgspec.structs.replace(EXACT, unchecked=1.0, d_ref=4.0)
    shares = "at most 1 (50% of the distance from the initial to the final state, 25% of d_ref)"
    words = f"false updates among those that were not checked could add up to {shares}"
    assert told(open_ended, left=1)[1] == words
    drawn = msgspec.structs.replace(open_ended, confidence=0.99)
    assert told(drawn, left=1)[1] == f"{words}, with 99% confidence"
    none = msgspec.structs.replace(EXACT, unchecked=None)
    assert told(none, left=1) == told(none) == [DISTANCE, NO_TOLERANCE]
    assert told(EXACT, left=1)[1].endswith(
        "could add up to at most 0 (0% of the distance from the initial to the final state)"
    )


def test_tolerances_and_decisions_add_up() -> None:
    drift = msgspec.structs.replace(EXACT, tolerated=0.5)
    (_, line) = told(drift)
    assert line == (
        "errors that the tolerances allow could add up to at most 0.5 (25% of the distance from the initial to the "
        "final state)"
    )
    used = UsedDecisions(given=4, used=3, farthest=0.5, choices=1 / 64, unused=None)
    several = [msgspec.structs.replace(compared(at, 1e-6), decisions=used) for at in (1, 2)]
    (_, _, line) = told(drift, compared=(*several, compared(3, 1e-6)))
    assert line.startswith(
        "2 comparisons pass with the prover's decisions near ties, where rounding decides: 6 of 8 were used"
    )
    assert "wrong ones could have moved a step by at most 50% of its update" in line


def test_an_update_depends_on_what_is_known_of_it() -> None:
    words = "in the leaf that depends on it least"
    for found, line in (
        (Dependence(3, 0.5, "/w", 1.0, "/w"), f"by 50% with another batch and by 100% with another state, {words}"),
        (Dependence(3, None, None, 0.25, "/w"), f"by 25% with another state, {words}"),
    ):
        assert told(EXACT, dependence=found)[-1] == f"the update of step 3 changes {line}"
    assert told(EXACT, dependence=Dependence(3, None, None, None, None)) == [DISTANCE, NO_TOLERANCE]


def test_updates_that_hardly_move_are_counted() -> None:
    found = told(msgspec.structs.replace(EXACT, infinitesimal=2))
    assert found[-1] == "2 of 4 updates are far smaller than the median update"

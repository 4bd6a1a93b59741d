"""The rules of time, each with the times that break it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.attesting.time_window import CLOCK_SLACK, RESOLUTION, Timestamp, Work, window_of

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
WORK = Work(steps=3600, seconds_per_step=1.0, source="recorded by the prover")


def stamp(time: datetime, accuracy: timedelta = SECOND) -> Timestamp:
    return Timestamp(time, accuracy, "CN=Authority", "1.2.3", 7)


def test_a_window_has_both_ends() -> None:
    found = window_of(
        now=NOON + 9 * HOUR, beacon=NOON, commitment=stamp(NOON + HOUR), envelope=stamp(NOON + 3 * HOUR), work=WORK
    )
    assert found
    assert (found.not_before, found.not_after) == (NOON + HOUR - SECOND, NOON + 3 * HOUR + SECOND + RESOLUTION)
    assert found.least_work == HOUR
    assert "by the prover's word" in found.describe()[0]


def test_a_beacon_alone_is_shown_and_not_believed() -> None:
    found = window_of(now=NOON + 9 * HOUR, beacon=NOON)
    assert (found.not_before, found.basis, found.not_after) == (NOON, "beacon", None)
    assert found.describe()[0].startswith("Training began after 2026-06-01 12:00:00 UTC: the commitment names a beacon")
    assert found.describe()[1].startswith("Nothing shows that training ended")


def test_nothing_is_said_where_nothing_is_known() -> None:
    found = window_of(now=NOON)
    assert found
    assert found.describe() == (
        "Nothing shows that training didn't begin earlier: no beacon, and no timestamp on the commitment.",
        "Nothing shows that training ended by some time: no timestamp on the signed claim.",
    )


@pytest.mark.parametrize("basis", ["beacon", "commitment"])
def test_a_window_shorter_than_the_work_is_refused(basis: str) -> None:
    def found(length: timedelta) -> bool:
        start = {"beacon": NOON} if basis == "beacon" else {"commitment": stamp(NOON, timedelta(0))}
        return bool(window_of(now=NOON + 9 * HOUR, envelope=stamp(NOON + length, timedelta(0)), work=WORK, **start))

    assert found(HOUR)
    assert found(HOUR - RESOLUTION), "an honest time of 12:59:59.9 may be written as 12:59:59"
    assert not found(HOUR - RESOLUTION - SECOND)


def test_accuracy_is_for_the_prover() -> None:
    """What the authorities leave open is no reason to refuse."""
    times: dict[str, Any] = {
        "commitment": stamp(NOON, 5 * SECOND),
        "envelope": stamp(NOON + HOUR - 10 * SECOND - RESOLUTION, 5 * SECOND),
    }
    assert window_of(now=NOON + 9 * HOUR, work=WORK, **times)
    times["envelope"] = stamp(NOON + HOUR - 11 * SECOND - RESOLUTION, 5 * SECOND)
    (problem,) = window_of(now=NOON + 9 * HOUR, work=WORK, **times).problems
    assert (
        "shorter than the work: 3600 steps take at least 1:00:00 at 1 seconds a step, recorded by the prover" in problem
    )


def test_times_out_of_order_are_refused() -> None:
    late = NOON + 9 * HOUR
    for times, problem in (
        (
            {"beacon": NOON, "commitment": stamp(NOON - 2 * SECOND)},
            "names a beacon of 2026-06-01 12:00:00 UTC, which nobody",
        ),
        ({"beacon": NOON, "envelope": stamp(NOON - 2 * SECOND)}, "rests on a beacon"),
        ({"commitment": stamp(NOON + HOUR), "envelope": stamp(NOON)}, "it belongs before step 0"),
    ):
        found = window_of(now=late, **times)
        assert not found
        assert problem in found.problems[0]
        assert found.describe()[0] == found.problems[0]


def test_a_second_that_was_cut_off_is_for_the_prover_in_every_order() -> None:
    """12:00:00.9 is written as 12:00:00 by most authorities, and read so of all others."""
    half, late = SECOND / 2, NOON + 9 * HOUR
    assert stamp(NOON).latest == NOON + 2 * SECOND - timedelta.resolution
    assert stamp(NOON, half).latest == NOON + half + SECOND - timedelta.resolution
    for times in (
        {"beacon": NOON + SECOND, "commitment": stamp(NOON, half)},
        {"beacon": NOON + SECOND, "envelope": stamp(NOON, half)},
        {"commitment": stamp(NOON + SECOND, half), "envelope": stamp(NOON, timedelta(0))},
    ):
        assert window_of(now=late, **times)
    for times in (
        {"beacon": NOON + 2 * SECOND, "commitment": stamp(NOON, half)},
        {"beacon": NOON + SECOND, "envelope": stamp(NOON, timedelta(0))},
        {"commitment": stamp(NOON + SECOND, timedelta(0)), "envelope": stamp(NOON, timedelta(0))},
    ):
        assert not window_of(now=late, **times)


def test_times_of_the_future_are_refused() -> None:
    ahead = NOON + CLOCK_SLACK + 2 * SECOND
    for times, what in (
        ({"beacon": ahead}, "The beacon"),
        ({"commitment": stamp(ahead)}, "The timestamp of the commitment"),
        ({"envelope": stamp(ahead)}, "The timestamp of the signed claim"),
    ):
        (problem,) = window_of(now=NOON, **times).problems
        assert problem.startswith(what)
        assert not window_of(now=NOON, **times)
        assert window_of(now=NOON + 3 * SECOND, **times)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0, 1e30])
def test_a_rate_that_is_none_is_an_error(rate: float) -> None:
    with pytest.raises(ValueError, match="no possible time of a training"):
        window_of(now=NOON, work=Work(10, rate, "measured in this replay"))


times = st.integers(0, 10**6).map(lambda seconds: NOON + seconds * SECOND)


@given(start=times, end=times, later=st.integers(0, 10**5), slower=st.integers(0, 100))
def test_more_time_or_faster_work_never_turns_into_a_refusal(
    start: datetime, end: datetime, later: int, slower: int
) -> None:
    def holds(end: datetime, rate: float) -> bool:
        work = Work(1000, rate, "recorded by the prover")
        return bool(window_of(now=NOON + 10**7 * SECOND, beacon=start, envelope=stamp(end), work=work))

    if holds(end, 1.0 + slower):
        assert holds(end + later * SECOND, 1.0 + slower)
        assert holds(end, 1.0)


def test_a_beacon_is_shown_beside_a_later_word_of_the_prover() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    stamp = Timestamp(late, timedelta(0), "CN=Authority", "1.2.3", 1)
    window = window_of(now=datetime(2026, 2, 1, tzinfo=UTC), beacon=early, commitment=stamp)
    assert (window.not_before, window.basis, window.beacon) == (late, "timestamp of the commitment", early)
    assert "what is shown is that it began after 2026-01-01" in window.describe()[0]

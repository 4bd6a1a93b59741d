"""The section on errors: what is equal bit for bit, and what was compared as numbers."""

from __future__ import annotations

import re
from typing import Any, Literal

from example_reports import Elements, Reports, compared, unfinished

from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.html import render
from pol_jax.reports.html.closeness import closeness
from pol_jax.reports.outcomes import Outcome

EXACT, DIFFERENT = Replay(0, 0, 6, None, ()), Replay(1, 6, 12, 9, ("loss",))


def text(unit: Literal["segment", "step"] = "segment", **facts: Any) -> str:
    section = closeness(unfinished(coverage=Coverage(unit, 4, (0, 1), 24, 12, 0.05, 0.0), **facts))
    assert section is not None
    return Elements(section).text


def test_nothing_is_said_where_nothing_was_replayed() -> None:
    assert closeness(unfinished()) is None


def test_steps_and_segments_are_counted() -> None:
    assert text(replays=(EXACT,)) == (
        "Reproduction error6 steps in 1 segment equal the ledger bit for bit, which is an error of 0."
    )
    one = Replay(3, 2, 3, None, ())
    assert "1 step equals the ledger bit for bit" in text("step", replays=(one,))
    differ = text(replays=(DIFFERENT, Replay(2, 12, 18, 13, ("loss",))))
    assert "2 segments differ from the ledger; bits were compared, and no distance was measured." in differ
    assert "bit for bit" not in differ


def test_outcomes_of_comparisons_are_counted() -> None:
    outcomes = (Outcome.PASSED, Outcome.FAILED, Outcome.FAILED)
    several = tuple(compared(at, 1e-6, outcome) for at, outcome in enumerate(outcomes, 1))
    found = text(replays=(DIFFERENT,), compared=several)
    assert "Compared as numbers, because the bits differ on this machine: 1 passed, 2 failed." in found
    assert "differs from the ledger" not in found
    assert "because the bits differ on this machine: step 7, passed." in text(compared=(compared(7, 1e-6),))


def test_the_largest_error_is_described() -> None:
    found = text(compared=(compared(7, 1e-6), compared(9, 1e-3)))
    assert "The largest error is 1.0e-03 of the update, in step 9." in found
    lost = text(compared=(compared(7, None), compared(9, 1e-3)))
    assert "The largest error is in step 7: it is not finite, or the update there is 0 or not finite." in lost


def test_error_is_told_in_words_where_bits_decide(reports: Reports) -> None:
    page = render(reports["accepted"])
    assert "24 steps in 4 segments equal the ledger bit for bit, which is an error of 0.</p>" in page
    assert "Error of each comparison" not in page
    exact = "18 steps in 3 segments equal the ledger bit for bit, which is an error of 0. "
    assert f"{exact}1 segment differs from the ledger; bits were compared" in render(reports["rejected"])
    assert "Reproduction error" not in render(reports["early"])


def test_chart_of_many_keeps_the_worst(reports: Reports) -> None:
    page = render(reports["many"])
    assert "99 passed." in page
    assert "The 60 worst comparisons are shown, 39 more are not." in page
    shown = [int(step) for step in re.findall(r">step (\d+)</th>", page)]
    assert shown == [1000 * at for at in range(40, 100)]
    assert "The largest error is 8.9e-05 of the update, in step 99000." in page

"""The course of a run: its loss and its updates, and what of them can't be drawn."""

from __future__ import annotations

from typing import Any

import msgspec
from example_reports import Elements, Reports, unfinished

from pol_jax.protocol.policies import TopSegments
from pol_jax.reports.curves import Point, Update
from pol_jax.reports.html import render
from pol_jax.reports.html.course import course

LOSSES = (Point(1, 2, 2.5), Point(3, 5, None), Point(6, 7, 0.5))


def text(**facts: Any) -> str:
    section = course(unfinished(**facts))
    assert section is not None
    return Elements(section).text


def test_a_ledger_that_was_not_read_has_no_course() -> None:
    assert course(unfinished()) is None


def test_a_loss_that_is_not_finite_leaves_a_gap() -> None:
    found = text(curve=LOSSES)
    assert "The loss goes from 2.5 to 0.5 in 7 steps." in found
    assert "Each point is the mean of 2 or 3 steps of the ledger." in found
    assert "The loss is not finite in 1 of 3 points: the line has gaps there." in found
    single = text(curve=(Point(1, 1, 2.0), Point(2, 2, 1.0)))
    assert "Each point is one step of the ledger." in single
    assert "gaps" not in single


def test_updates_are_of_the_metric_by_which_the_policy_ranks_them() -> None:
    updates = (Update(0, 6, 0.25), Update(6, 12, 0.0), Update(12, 18, None), Update(18, 24, 0.75))
    found = text(curve=LOSSES, updates=updates)
    assert "The distances shown are between 0.25 and 0.75." in found
    assert "2 of 4 updates are zero or not finite, and are left out." in found
    assert "l2 distance" in found
    assert "linf distance" in text(curve=LOSSES, updates=updates, policy=TopSegments(1, "linf"))
    assert "Updates between checkpoints" not in text(curve=LOSSES)


def test_loss_may_be_finite_nowhere(reports: Reports) -> None:
    page = render(msgspec.structs.replace(reports["accepted"], curve=(Point(1, 1, None),), updates=()))
    assert "The loss is not finite at any step." in page
    zero = msgspec.structs.replace(reports["accepted"], updates=(Update(0, 6, 0.0), Update(6, 12, None)))
    assert "No update is positive and finite." in render(zero)

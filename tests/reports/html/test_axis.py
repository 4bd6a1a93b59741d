"""Ticks of axes."""

from __future__ import annotations

import pytest

from pol_jax.reports.html.axis import Axis, axis_of, number


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0.0, 600.0), [0, 200, 400, 600]),
        (Axis(-0.1, 2.4), [0, 0.5, 1, 1.5, 2]),
        (Axis(0.9, 3.7, logarithmic=True), [1, 2, 3]),
        (Axis(0.9, 60.0, logarithmic=True), [1, 2, 5, 10, 20, 50]),
        (Axis(1e-6, 1e3, logarithmic=True), [1e-6, 1e-4, 1e-2, 1, 100]),
        (axis_of([5.0, 5.0]), [4.96, 4.98, 5, 5.02, 5.04]),
    ],
)
def test_ticks_are_round_and_on_the_axis(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)
    assert len({number(tick) for tick in axis.ticks()}) == len(ticks)
    assert all(-1e-6 <= axis.at(tick) <= 100 + 1e-6 for tick in axis.ticks())

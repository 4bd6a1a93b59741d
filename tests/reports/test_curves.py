"""Curves are bounded: means of the loss, the largest of the updates."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from pol_jax.reports.curves import MOST_POINTS, Curve, Point, Update, thin


@pytest.mark.parametrize("steps", [1, 7, MOST_POINTS, MOST_POINTS + 1, 12_345])
def test_curve_is_bounded_and_has_means_of_equal_stretches(steps: int) -> None:
    losses = np.random.default_rng(steps).normal(size=steps)
    curve = Curve(steps)
    curve.add(0, None)
    for step, loss in enumerate(losses.tolist(), 1):
        curve.add(step, loss)
    points = curve.points()
    assert len(points) == min(steps, MOST_POINTS)
    assert [point.first for point in points] == [1, *(point.last + 1 for point in points[:-1])]
    assert points[-1].last == steps
    lengths = {point.last - point.first for point in points}
    assert max(lengths) - min(lengths) <= 1
    for point in points:
        assert point.loss == pytest.approx(losses[point.first - 1 : point.last].mean())


def test_loss_that_is_not_finite_survives_json_as_null() -> None:
    curve = Curve(4)
    for step, loss in enumerate((1.0, math.nan, math.inf, -math.inf), 1):
        curve.add(step, loss)
    assert [point.loss for point in curve.points()] == [1.0, None, None, None]
    assert msgspec.json.decode(msgspec.json.encode(curve.points()), type=tuple[Point, ...]) == curve.points()


def test_updates_are_thinned_to_the_largest() -> None:
    updates = [Update(6 * at, 6 * at + 6, float(at % 7)) for at in range(1000)]
    thinned = thin(updates)
    assert len(thinned) == MOST_POINTS
    assert (thinned[0], thinned[-1].stop) == (Update(0, 30, 4.0), 6000)
    assert thin(updates[:3]) == tuple(updates[:3])
    assert thin([]) == ()
    updates[3] = Update(18, 24, None)
    assert thin(updates)[0].magnitude is None

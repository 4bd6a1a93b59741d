"""Sine, cosine and their inverses are near the true functions, and say what they can not tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exact_laws import by_numpy, largest_error
from jax import lax

X = np.concatenate([np.linspace(-9, 9, 301), [1e3, -12345.678, 2.0**25]]).astype(np.float32)
UNIT = np.linspace(-1, 1, 301).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "true", "x"),
    [
        (lax.sin, np.sin, X),
        (lax.cos, np.cos, X),
        (lax.tan, np.tan, X),
        (lax.asin, np.arcsin, UNIT),
        (lax.acos, np.arccos, UNIT),
        (lax.atan, np.arctan, X),
    ],
    ids=["sin", "cos", "tan", "asin", "acos", "atan"],
)
def test_a_function_errs_by_few_units_in_the_last_place(function: Any, true: Any, x: np.ndarray) -> None:
    (found,) = by_numpy(function, x)
    assert largest_error(found, true(x.astype(np.float64))) < 4


def test_the_angle_of_a_point_is_in_its_quadrant() -> None:
    y, x = (np.array(each, np.float32) for each in ([1, 1, -1, -1, 0, 0, 2, -2], [1, -1, -1, 1, 1, -1, 0, 0]))
    (found,) = by_numpy(lax.atan2, y, x)
    assert largest_error(found, np.arctan2(y.astype(np.float64), x)) < 4


def test_an_angle_that_a_float_does_not_tell_has_no_sine() -> None:
    x = np.array([2.0**26, -(2.0**30), np.inf, np.nan, 2.0**26 - 4], np.float32)
    circular: list[Any] = [lax.sin, lax.cos, lax.tan]
    for function in circular:
        assert np.isnan(by_numpy(function, x)[0]).tolist() == [True] * 4 + [False]
    inverse: list[Any] = [lax.asin, lax.acos]
    for function in inverse:
        assert np.isnan(by_numpy(function, np.array([1.5, -1.5, 1], np.float32))[0]).tolist() == [True, True, False]

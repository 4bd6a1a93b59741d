"""Rules compute the equations of primitives from operations that have the same bits everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exact_laws import by_numpy, largest_error
from jax import lax

X = np.array([-2.5, -0.5, -0.0, 0.5, 1.5, 2.5, np.nan, np.inf], np.float32)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lax.sign, [-1, -1, 0, 1, 1, 1, np.nan, 1]),
        (lax.floor, [-3, -1, 0, 0, 1, 2, np.nan, np.inf]),
        (lax.ceil, [-2, 0, 0, 1, 2, 3, np.nan, np.inf]),
        (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), [-2, 0, 0, 0, 2, 2, np.nan, np.inf]),
        (lambda x: lax.clamp(np.float32(-1), x, np.float32(2)), [-1, -0.5, 0, 0.5, 1.5, 2, np.nan, 2]),
        (lax.neg, [2.5, 0.5, 0, -0.5, -1.5, -2.5, np.nan, -np.inf]),
        (lax.square, [6.25, 0.25, 0, 0.25, 2.25, 6.25, np.nan, np.inf]),
    ],
    ids=["sign", "floor", "ceil", "round", "clamp", "neg", "square"],
)
def test_no_result_is_minus_0_and_nan_stays_nan(function: Any, expected: list[float]) -> None:
    (found,) = by_numpy(function, X)
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    assert not np.signbit(found[found == 0]).any()


def test_operands_of_one_element_are_stretched() -> None:
    x = np.array([[1.0], [2.0]], np.float32)
    (found,) = by_numpy(lambda x: x + np.float32(0.5), x)
    assert found.tolist() == [[1.5], [2.5]]


def test_logarithms_of_sums_of_exponentials_are_accumulated() -> None:
    x = np.array([1.0, -3.0, -np.inf, 2.0, 80.0], np.float32)
    (found,) = by_numpy(lambda x: lax.cumlogsumexp(x, 0), x)
    assert largest_error(found, np.logaddexp.accumulate(x.astype(np.float64))) < 4

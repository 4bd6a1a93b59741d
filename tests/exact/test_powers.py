"""Powers and logarithms to base 2 are near the true ones, and exact where that can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exact_laws import by_numpy, evaluated, largest_error
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.powers import base_two_logarithm


def test_a_power_errs_by_few_units_in_the_last_place() -> None:
    source = np.random.default_rng(0)
    x, y = source.uniform(0.01, 20, 400).astype(np.float32), source.uniform(-20, 20, 400).astype(np.float32)
    true = x.astype(np.float64) ** y
    (found,) = by_numpy(lax.pow, x, y)
    normal = (true > 2.0**-100) & (true < 1e38)
    assert largest_error(found[normal], true[normal]) < 2
    assert not found[true < 2.0**-101].any()


def test_signs_and_limits_of_powers() -> None:
    cases = {
        (-2.0, 3.0): -8,
        (-2.0, -2.0): 0.25,
        (-2.0, 0.5): np.nan,
        (0.0, 0.0): 1,
        (0.0, -1.0): np.inf,
        (0.0, 2.0): 0,
        (1.0, np.nan): 1,
        (np.nan, 0.0): 1,
        (np.inf, -1.0): 0,
        (-np.inf, 3.0): -np.inf,
        (2.0, np.nan): np.nan,
    }
    x, y = (np.array(each, np.float32) for each in zip(*cases, strict=True))
    (found,) = by_numpy(lax.pow, x, y)
    np.testing.assert_array_equal(found, np.array(list(cases.values()), np.float32))


@pytest.mark.parametrize("exponent", [0, 1, 2, 7, -3])
def test_a_whole_power_is_products_by_repeated_squaring(exponent: int) -> None:
    x = np.array([1.1, -0.7, 2.0, 3.0], np.float32)
    (found,) = by_numpy(lambda x: lax.integer_pow(x, exponent), x)
    square = x * x
    cube = x * square
    expected = {0: np.ones(4, np.float32), 1: x, 2: square, 7: cube * (square * square), -3: np.float32(1) / cube}
    np.testing.assert_array_equal(found, expected[exponent])


def test_logarithms_of_powers_of_two_are_whole_numbers() -> None:
    numbers = np.arange(-99, 128).astype(np.float32)
    (found,) = evaluated(_base_two_logarithm, np.exp2(numbers))
    np.testing.assert_array_equal(found, numbers)


def _base_two_logarithm(x: Any) -> Any:
    return base_two_logarithm(Guard(lax.full((), np.int32(0))), x)

"""Exponentials, logarithms and hyperbolic functions are near the true ones, and have their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exact_laws import by_numpy, largest_error
from jax import lax

X = np.concatenate([np.linspace(-12, 12, 301), [1e-4, -1e-7, 60, -60]]).astype(np.float32)
POSITIVE = np.concatenate([np.linspace(0.01, 30, 301), [1e-20, 1e20, 1.0000001]]).astype(np.float32)
FUNCTIONS: dict[str, tuple[Any, Any, np.ndarray]] = {
    "exp": (lax.exp, np.exp, X),
    "exp2": (lax.exp2, np.exp2, X),
    "expm1": (lax.expm1, np.expm1, X),
    "log": (lax.log, np.log, POSITIVE),
    "log1p": (lax.log1p, np.log1p, POSITIVE),
    "logistic": (lax.logistic, lambda x: 1 / (1 + np.exp(-x)), X),
    "tanh": (lax.tanh, np.tanh, X),
    "sinh": (lax.sinh, np.sinh, X),
    "cosh": (lax.cosh, np.cosh, X),
    "asinh": (lax.asinh, np.arcsinh, X),
    "acosh": (lax.acosh, np.arccosh, POSITIVE[POSITIVE >= 1]),
    "atanh": (lax.atanh, np.arctanh, np.linspace(-0.99, 0.99, 199).astype(np.float32)),
    "cbrt": (lax.cbrt, np.cbrt, X),
}
LIMITS: dict[str, list[float]] = {
    "exp": [np.inf, 0, np.nan],
    "expm1": [np.inf, -1, np.nan],
    "log": [np.inf, np.nan, np.nan],
    "logistic": [1, 0, np.nan],
    "tanh": [1, -1, np.nan],
    "sinh": [np.inf, -np.inf, np.nan],
    "cosh": [np.inf, np.inf, np.nan],
    "asinh": [np.inf, -np.inf, np.nan],
    "cbrt": [np.inf, -np.inf, np.nan],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_errs_by_few_units_in_the_last_place(name: str) -> None:
    function, true, x = FUNCTIONS[name]
    (found,) = by_numpy(function, x)
    assert largest_error(found, true(x.astype(np.float64))) < 5


@pytest.mark.parametrize("name", LIMITS)
def test_a_function_has_its_limits(name: str) -> None:
    (found,) = by_numpy(FUNCTIONS[name][0], np.array([np.inf, -np.inf, np.nan], np.float32))
    np.testing.assert_array_equal(found, np.array(LIMITS[name], np.float32))


def test_edges_of_logarithms() -> None:
    (found,) = by_numpy(lax.log, np.array([0, 1, -1], np.float32))
    np.testing.assert_array_equal(found, np.array([-np.inf, 0, np.nan], np.float32))
    (found,) = by_numpy(lax.atanh, np.array([1, -1, 1.5], np.float32))
    np.testing.assert_array_equal(found, np.array([np.inf, -np.inf, np.nan], np.float32))

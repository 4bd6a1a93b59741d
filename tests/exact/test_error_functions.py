"""The error function, its complement and its inverse are near the true ones."""

from __future__ import annotations

import numpy as np
from exact_laws import by_numpy, largest_error
from jax import lax
from scipy import special

X = np.linspace(-5, 5, 301).astype(np.float32)


def test_the_error_function_and_its_complement_err_by_few_units_in_the_last_place() -> None:
    below, above = by_numpy(lambda x: (lax.erf(x), lax.erfc(x)), X)
    wide = X.astype(np.float64)
    assert largest_error(below, special.erf(wide)) < 4
    assert largest_error(above, special.erfc(wide)) < 16
    assert largest_error(above[X < -1], special.erfc(wide[X < -1])) < 1


def test_so_does_the_inverse() -> None:
    inside = np.linspace(-0.999, 0.999, 301).astype(np.float32)
    (found,) = by_numpy(lax.erf_inv, inside)
    assert largest_error(found, special.erfinv(inside.astype(np.float64))) < 4
    (edges,) = by_numpy(lax.erf_inv, np.array([1, -1, 1.5, 0], np.float32))
    np.testing.assert_array_equal(edges, np.array([np.inf, -np.inf, np.nan, 0], np.float32))


def test_limits() -> None:
    below, above = by_numpy(lambda x: (lax.erf(x), lax.erfc(x)), np.array([np.inf, -np.inf, np.nan, 0], np.float32))
    np.testing.assert_array_equal(below, np.array([1, -1, np.nan, 0], np.float32))
    np.testing.assert_array_equal(above, np.array([0, 2, np.nan, 1], np.float32))

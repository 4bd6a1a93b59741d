"""A product of matrices is a sum of integers on grids, rounded once."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from exact_laws import by_numpy, compiled, few, rounded, same
from hypothesis import given, settings
from jax import lax

from pol_jax.exact.grid import bits_for
from pol_jax.exact.values import canonical_constant


def on_grid(values: list[Fraction], p: int) -> tuple[list[int], int]:
    """Integers and the shift of their grid, as docs/exact.md says."""
    largest = max(abs(value) for value in values)
    exponent = math.frexp(float(largest))[1] if largest >= Fraction(1, 2**126) else -126
    shift = min(p - exponent, 126)
    return [round(value * Fraction(2) ** shift) for value in values], shift


@settings(max_examples=25)
@given(few, few)
def test_a_product_of_matrices_is_an_exact_sum_on_grids(x: np.ndarray, y: np.ndarray) -> None:
    a, b = (canonical_constant(v).reshape(4, 4) for v in (x, y))
    p = bits_for(4)
    expected = []
    for row in a:
        for column in b.T:
            (one, shift), (other, more) = (on_grid([Fraction(float(v)) for v in values], p) for values in (row, column))
            total = sum(i * j for i, j in zip(one, other, strict=True))
            expected.append(rounded(Fraction(total) / Fraction(2) ** (shift + more)))
    same(compiled(_product)(x.reshape(4, 4), y.reshape(4, 4)), expected)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("terms", [3, 9000])
def test_what_is_not_finite_makes_nan_of_its_row_or_column(terms: int, wrong: float) -> None:
    """Also where sums are too long for floats: what an integer is made of NaN depends on the machine."""
    a, b = np.ones((3, terms), np.float32), np.ones((terms, 2), np.float32)
    a[1, 2], b[0, 1] = wrong, -wrong
    assert np.isnan(compiled(_product)(a, b)).tolist() == [[False, True], [True, True], [False, True]]


def test_a_product_of_no_terms_is_zero() -> None:
    assert compiled(_product)(np.ones((2, 0), np.float32), np.ones((0, 3), np.float32)).tolist() == [[0.0] * 3] * 2


def _product(x: Any, y: Any) -> Any:
    return x @ y


def test_batches_and_contracted_axes_may_lie_anywhere() -> None:
    """The products of small whole numbers are what NumPy says, whatever the order of axes."""
    source = np.random.default_rng(0)
    a, b = (source.integers(-9, 9, shape).astype(np.float32) for shape in ((3, 2, 4), (5, 3, 4)))
    b *= np.float32(2) ** np.arange(0, 50, 10, dtype=np.float32)[:, None, None]  # each column has a grid of its own
    (found,) = by_numpy(lambda a, b: lax.dot_general(a, b, (((2,), (2,)), ((0,), (1,)))), a, b)
    np.testing.assert_array_equal(found, np.einsum("brk,cbk->brc", a, b))
    (turned,) = by_numpy(lambda a, b: lax.dot_general(a, b, (((0,), (1,)), ((), ()))), a, b)
    np.testing.assert_array_equal(turned, np.einsum("krm,ckn->rmcn", a, b))

"""Quotients and roots are correctly rounded, and products with them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from exact_laws import arrays, compiled, floats, fractions_of, rounded, same
from hypothesis import given, settings
from jax import lax


@settings(max_examples=40)
@given(arrays, arrays)
def test_products_quotients_and_roots_are_correctly_rounded(x: np.ndarray, y: np.ndarray) -> None:
    product, quotient, root, reciprocal = compiled(_rounded_operations)(x, y)
    same(product, [rounded(a * b) for a, b in zip(fractions_of(x), fractions_of(y), strict=True)])
    for a, b, found in zip(fractions_of(x), fractions_of(y), np.asarray(quotient), strict=True):
        if b:
            same(found, [rounded(a / b)])
        else:
            assert np.isnan(found) if not a else np.isinf(found)
    for a, one, other in zip(fractions_of(x), np.asarray(root), np.asarray(reciprocal), strict=True):
        if a < 0:
            assert np.isnan(one)
            assert np.isnan(other)
        elif a:
            same(one, [rounded(root_of(a))])
            same(other, [rounded(1 / root_of(a))])


def _rounded_operations(x: Any, y: Any) -> Any:
    return x * y, x / y, lax.sqrt(x), lax.rsqrt(x)


@settings(max_examples=40)
@given(arrays, floats)
def test_quotients_of_one_divisor_are_correctly_rounded(x: np.ndarray, y: float) -> None:
    """Of a number at run time, of a constant, and of a constant that is a power of two."""
    divisor = np.float32(y if fractions_of(np.array([y], np.float32))[0] else 3)
    found = compiled(_divided)(x, divisor)
    for result, by in zip(found, (divisor, np.float32(0.9), np.float32(-0.125)), strict=True):
        same(result, [rounded(a / fractions_of(np.array([by], np.float32))[0]) for a in fractions_of(x)])


def _divided(x: Any, y: Any) -> Any:
    return lax.div(x, y), x / 0.9, x / -0.125


def root_of(value: Fraction) -> Fraction:
    """A square root with an error below 2**-100, which is nearer than any root is to a middle of two floats."""
    scale = 2 ** (400 - 2 * (math.floor(math.log2(value.numerator) - math.log2(value.denominator)) // 2))
    return Fraction(math.isqrt(value.numerator * scale * scale // value.denominator), scale)

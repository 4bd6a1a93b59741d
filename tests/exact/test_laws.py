"""Laws of exact arithmetic, against rational numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax import lax

from pol_jax.exact import exact
from pol_jax.exact.grid import bits_for, block_of
from pol_jax.exact.values import canonical_constant

COUNT = 16
TINY = Fraction(1, 2**100)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
moderate = st.floats(-1e6, 1e6, width=32)
arrays = st.lists(floats, min_size=COUNT, max_size=COUNT).map(lambda values: np.array(values, np.float32))
few = st.lists(moderate, min_size=COUNT, max_size=COUNT).map(lambda values: np.array(values, np.float32))
KEY = np.array([3, 4], np.uint32)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(lambda *arguments: exact(lambda *given: function(*given[:-1]))(*arguments, KEY))


def rounded(value: Fraction) -> np.float32:
    """The float32 nearest to a rational number, to even, flushed below 2**-100."""
    if abs(value) >= Fraction(2**128 - 2**103):
        return np.float32(math.copysign(math.inf, value))
    if not value:
        return np.float32(0)
    exponent = math.floor(math.log2(abs(value.numerator))) - math.floor(math.log2(value.denominator))
    while Fraction(2) ** exponent > abs(value):
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= abs(value):
        exponent += 1
    unit = Fraction(2) ** (exponent - 23)
    number = Fraction(round(value / unit)) * unit
    return np.float32(0) if abs(number) < TINY else np.float32(float(number))


def same(found: Any, expected: list[np.float32]) -> None:
    np.testing.assert_array_equal(
        np.asarray(found).ravel().view(np.uint32), np.array(expected, np.float32).view(np.uint32)
    )


def fractions_of(x: np.ndarray) -> list[Fraction]:
    return [Fraction(float(value)) for value in canonical_constant(x)]


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


@settings(max_examples=40)
@given(arrays, arrays)
@example(np.full(COUNT, -0.0, np.float32), np.full(COUNT, 2.0**-130, np.float32))
def test_sums_are_rounded_once_and_never_subnormal(x: np.ndarray, y: np.ndarray) -> None:
    total, difference = compiled(_sums)(x, y)
    for found, expected in ((total, np.add), (difference, np.subtract)):
        with np.errstate(over="ignore"):
            single = expected(canonical_constant(x), canonical_constant(y))
        found = np.asarray(found)
        same(found, list(single))
        assert not (np.abs(found[found != 0]) < 2.0**-126).any()


def _sums(x: Any, y: Any) -> Any:
    return x + y, x - y


@settings(max_examples=25)
@given(few)
def test_a_long_sum_is_a_tree(x: np.ndarray) -> None:
    values = [np.float32(v) for v in canonical_constant(x[:13])]
    while len(values) > 1:
        values += [np.float32(0)] * (len(values) % 2)
        half = len(values) // 2
        values = [a + b for a, b in zip(values[:half], values[half:], strict=True)]
    same(compiled(_sum_of_13)(x), [values[0]])


def _sum_of_13(x: Any) -> Any:
    return jnp.sum(x[:13])


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


def _product(x: Any, y: Any) -> Any:
    return x @ y


@given(st.integers(1, 2**22))
def test_sums_of_products_fit(terms: int) -> None:
    p = bits_for(terms)
    block = min(terms, block_of(p))
    assert 20 <= p <= 24
    assert block * 2 ** (2 * p) <= 2**53
    assert terms * 2 ** (2 * p) < 2**63


@settings(max_examples=40)
@given(arrays)
def test_half_precision_is_rounded_to_nearest_even(x: np.ndarray) -> None:
    bfloat16, float16 = compiled(_halves)(x)
    for found, dtype in ((bfloat16, jnp.bfloat16), (float16, np.float16)):
        with np.errstate(over="ignore"):
            expected = canonical_constant(x).astype(dtype)
        expected = np.where(expected == 0, np.array(0, dtype), expected)
        np.testing.assert_array_equal(np.asarray(found).view(np.uint16), expected.view(np.uint16))


def _halves(x: Any) -> Any:
    return x.astype(jnp.bfloat16), x.astype(np.float16)


@settings(max_examples=25)
@given(few, st.lists(st.integers(0, 3), min_size=COUNT, max_size=COUNT))
def test_sums_at_indices_do_not_depend_on_their_order(x: np.ndarray, at: list[int]) -> None:
    indices = np.array(at, np.int32)
    once = compiled(_scattered)(x, indices)
    again = compiled(_scattered)(x[::-1].copy(), indices[::-1].copy())
    same(once, list(np.asarray(again)))
    total = [sum((Fraction(float(v)) for v, i in zip(x, at, strict=True) if i == at_), Fraction(0)) for at_ in range(4)]
    largest = max(map(abs, fractions_of(x)))
    for found, expected in zip(np.asarray(once), total, strict=True):
        assert abs(Fraction(float(found)) - expected) <= abs(expected) * Fraction(1, 2**24) + largest / 2**36 + TINY


def _scattered(x: Any, indices: Any) -> Any:
    return jnp.zeros(4).at[indices].add(x)


@settings(max_examples=25)
@given(arrays, arrays)
def test_remainders_are_exact(x: np.ndarray, y: np.ndarray) -> None:
    for a, b, found in zip(fractions_of(x), fractions_of(y), np.asarray(compiled(_remainder)(x, y)), strict=True):
        if b:
            rest = abs(a) - abs(a) // abs(b) * abs(b)
            same(found, [np.float32(float(rest if a >= 0 else -rest))])
        else:
            assert np.isnan(found)


def _remainder(x: Any, y: Any) -> Any:
    return lax.rem(x, y)

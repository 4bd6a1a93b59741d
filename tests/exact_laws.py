"""What the laws of exact arithmetic are tested with: programs, numbers, and rational numbers to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import jax
import numpy as np
import numpy_machine
from hypothesis import strategies as st

from pol_jax.exact import exact
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


def by_numpy(function: Callable[..., Any], *arguments: np.ndarray) -> list[np.ndarray]:
    """The results of an exact function, which NumPy computes operation by operation: nothing is compiled."""
    closed = jax.make_jaxpr(exact(lambda *given: function(*given[:-1])))(*arguments, KEY)
    return numpy_machine.run(closed, [*arguments, KEY])


def evaluated(function: Callable[..., Any], *arguments: np.ndarray) -> list[np.ndarray]:
    """The results of a function that exact programs are made of, by NumPy too."""
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(function)(*arguments)
    return numpy_machine.run(closed, arguments)


def largest_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest error in units in the last place of a float32 of the size of the true value."""
    unit = np.spacing(np.maximum(np.abs(expected), 2.0**-100).astype(np.float32)).astype(np.float64)
    return float(np.max(np.abs(found.astype(np.float64) - expected) / unit))

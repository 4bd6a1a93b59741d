"""The largest and the smallest of many float32 values are found as integers, so that a NaN is never lost.

A maximum of floats is exact in any order. But XLA loses a NaN on CPUs where an array is large, and keeps it where it is
small; other backends keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jax import lax

from pol_jax.exact.values import INFINITY, MAGNITUDE, SIGN, Array, bits, floats, full, negative, quiet

_LEAST: Final = (SIGN | INFINITY) ^ MAGNITUDE
"""The integer of minus infinity, which is the largest of no values."""

Reduce = Callable[[Array], Array]
"""This function returns the largest integers along some axes, or in some windows."""


def maximum_of(reduce: Reduce, x: Array) -> Array:
    """Return what ``reduce`` finds of float32 values; NaN wins."""
    found = reduce(_in_order(bits(quiet(x))))
    return floats(_in_order(lax.max(found, full(found, _LEAST))))


def minimum_of(reduce: Reduce, x: Array) -> Array:
    """Return the smallest of float32 values, where ``reduce`` finds the largest integers; NaN wins."""
    return negative(maximum_of(reduce, negative(x)))


def _in_order(b: Array) -> Array:
    """Return integers in the order of the floats that have these bits; and the bits of such integers."""
    below = lax.lt(b, full(b, 0))
    return lax.select(below, lax.bitwise_xor(b, full(b, MAGNITUDE)), b)

"""These functions convert between types: half-precision floats, integers, booleans, bits.

bfloat16 and float16 are types to store: an operation on them is the float32 operation of the same values, rounded once
to the type, to nearest even. The rounding is done in integers, because compilers drop pairs of conversions.
"""

from __future__ import annotations

from typing import Any, Final

import jax.numpy as jnp
import numpy as np
from jax import lax

from pol_jax.exact.values import (
    FLOAT32,
    INFINITY,
    INT32,
    INT64,
    Array,
    absolute,
    bits,
    canonical,
    full,
    is_float,
    is_nan,
    magnitude,
    quiet,
)

BFLOAT16: Final = np.dtype(jnp.bfloat16)
FLOAT16: Final = np.dtype(np.float16)
FLOATS: Final = (FLOAT32, BFLOAT16, FLOAT16)
"""The types of real numbers that exact arithmetic covers."""

_HALF_NORMAL: Final = 113 << 23
"""The bits of 2**-14, the smallest normal float16, in float32."""
_HALF_OVERFLOW: Final = 0x477FF000
"""The bits of 65520, from which on float16 rounds to an infinity."""


def widened(x: Array) -> Array:
    """Return a float of any covered type as float32, which holds all values of the others."""
    if x.dtype == BFLOAT16:
        b = lax.convert_element_type(lax.bitcast_convert_type(x, np.uint16), INT32)
        return lax.bitcast_convert_type(lax.shift_left(b, full(b, 16)), FLOAT32)
    return _from_float16(x) if x.dtype == FLOAT16 else x


def _from_float16(x: Array) -> Array:
    """Return float16 as float32, in integers: old processors have no conversion, and compilers lack a function."""
    half = lax.convert_element_type(lax.bitcast_convert_type(x, np.uint16), INT32)
    size = lax.bitwise_and(half, full(half, 0x7FFF))
    shifted = lax.shift_left(size, full(half, 13))
    # 112 = 127 - 15 is the difference between the biases of the two exponents.
    normal = lax.add(shifted, full(half, 112 << 23))
    # Subnormal float16: an integer of 10 bits times a power of two, which is exact and a normal float32.
    units = bits(lax.mul(lax.convert_element_type(size, FLOAT32), lax.full(x.shape, np.float32(2.0**-24))))
    b = lax.select(lax.lt(size, full(half, 0x0400)), units, normal)
    b = lax.select(lax.ge(size, full(half, 0x7C00)), lax.bitwise_or(shifted, full(half, INFINITY)), b)
    sign = lax.shift_left(lax.bitwise_and(half, full(half, 0x8000)), full(half, 16))
    return lax.bitcast_convert_type(lax.bitwise_or(b, sign), FLOAT32)


def narrowed(x: Array, dtype: Any) -> Array:
    """Return canonical float32 rounded to a covered float type, to nearest even."""
    if dtype == FLOAT32:
        return x
    b = magnitude(bits(x))
    half = _to_bfloat16(b) if dtype == BFLOAT16 else _to_float16(x, b)
    negative = lax.bitwise_and(lax.lt(bits(x), full(b, 0)), lax.ne(half, full(half, 0)))
    half = lax.select(negative, lax.bitwise_or(half, full(half, 0x8000)), half)
    half = lax.select(is_nan(x), full(half, 0x7FC0 if dtype == BFLOAT16 else 0x7E00), half)
    return lax.bitcast_convert_type(lax.convert_element_type(half, np.uint16), dtype)


def _rounded_shift(b: Array, n: int) -> Array:
    """Return B / 2**n, rounded to nearest even."""
    # A carry may go on from the mantissa into the exponent, and then makes the next power of two, or the infinity.
    odd = lax.bitwise_and(lax.shift_right_logical(b, full(b, n)), full(b, 1))
    return lax.shift_right_logical(lax.add(lax.add(b, full(b, 2 ** (n - 1) - 1)), odd), full(b, n))


def _to_bfloat16(b: Array) -> Array:
    """Return the bits of a magnitude, rounded to those of bfloat16."""
    return _rounded_shift(b, 16)


def _to_float16(x: Array, b: Array) -> Array:
    """Return the bits of a magnitude, rounded to those of float16; below 2**-14 they count units of 2**-24."""
    normal = lax.sub(_rounded_shift(b, 13), full(b, 112 << 10))
    # The minimum keeps what is not used here (larger values, see below) within int32.
    units = lax.min(lax.mul(absolute(x), full(x, 2.0**24)), full(x, 1024))
    units = lax.convert_element_type(lax.round(units, lax.RoundingMethod.TO_NEAREST_EVEN), INT32)
    half = lax.select(lax.lt(b, full(b, _HALF_NORMAL)), units, normal)
    return lax.select(lax.ge(b, full(b, _HALF_OVERFLOW)), full(b, 0x7C00), half)


def entered(x: Array) -> Array:
    """Return any array as exact arithmetic takes it: floats become canonical."""
    return narrowed(canonical(widened(x)), x.dtype) if is_float(x) else x


def left(x: Array) -> Array:
    """Return any array as exact arithmetic gives it away: NaNs have one payload."""
    return narrowed(quiet(widened(x)), x.dtype) if is_float(x) else x


def converted(x: Array, dtype: Any) -> Array:
    """Compute `jax.lax.convert_element_type`; a float becomes the nearest integer towards zero, a NaN becomes 0."""
    dtype = np.dtype(dtype)
    if is_float(x):
        wide = widened(x)
        if dtype in FLOATS:
            return narrowed(wide, dtype)
        return lax.ne(wide, full(wide, 0)) if dtype == np.bool_ else _to_integer(wide, dtype)
    if dtype in FLOATS:
        return narrowed(lax.convert_element_type(x, FLOAT32), dtype)
    return lax.convert_element_type(x, dtype)


def _to_integer(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return a float truncated towards zero and saturated."""
    limits = np.iinfo(dtype)
    # the largest float32 that the type holds; it has 24 bits
    top = np.float32(limits.max if limits.bits < 24 else limits.max - (limits.max >> 24))
    inside = lax.clamp(np.float32(limits.min), lax.select(is_nan(x), full(x, 0), x), top)
    if limits.bits < 64:
        whole = lax.convert_element_type(lax.convert_element_type(inside, INT64), dtype)
    else:
        whole = lax.convert_element_type(inside, dtype)
    return lax.select(lax.gt(x, full(x, top)), full(whole, limits.max), whole)


def reinterpreted(x: Array, dtype: Any) -> Array:
    """Compute `jax.lax.bitcast_convert_type`; what becomes a float is canonical, and a NaN has one payload before."""
    return entered(lax.bitcast_convert_type(left(x), dtype))

"""Exact arithmetic works on canonical values: float32 numbers, whose bits this module reads and makes.

A canonical value is a NaN, an infinity, or a multiple of 2**-123 that is not -0. A sum of two such values is one, and
never subnormal, so it makes no difference whether a machine flushes subnormal numbers to zero. A product is made
canonical by flushing it to zero below 2**-100: above, a float32 is a multiple of 2**-123 by itself.

Bits are read as int32. A NaN may have any payload inside of a program; it gets the bits 0x7FC00000 where bits can be
seen: in results, in sorting, and in conversions of bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import jax
import numpy as np
from jax import lax

Array = jax.Array
Scalar = float | int | np.generic

FLOAT32: Final = np.dtype(np.float32)
FLOAT64: Final = np.dtype(np.float64)
INT32: Final = np.dtype(np.int32)
INT64: Final = np.dtype(np.int64)

SIGN: Final = -(2**31)
MAGNITUDE: Final = 2**31 - 1
INFINITY: Final = 0x7F800000
NAN: Final = 0x7FC00000
MANTISSA: Final = 0x007FFFFF
ONE: Final = 0x3F800000
LEAST: Final = (127 - 100) << 23
"""The bits of 2**-100, below which a product is flushed to zero."""


def is_float(value: Any) -> bool:
    """Return whether an array or an abstract value holds real floating-point numbers."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and jax.numpy.issubdtype(dtype, np.floating)


def full(like: Array, value: Scalar) -> Array:
    """Return an array of the shape and dtype of ``like``, filled with ``value``."""
    return lax.full(like.shape, np.asarray(value, like.dtype))


def paired(x: Array | Scalar, y: Array | Scalar) -> tuple[Array, Array]:
    """Return both operands in one shape; a number becomes an array of the other one's shape and dtype."""
    if not isinstance(y, jax.Array):
        y, x = paired(y, x)
        return x, y
    if not isinstance(x, jax.Array):
        return full(y, x), y
    shape = np.broadcast_shapes(x.shape, y.shape)
    return stretched(x, shape), stretched(y, shape)


def stretched(x: Array, shape: tuple[int, ...]) -> Array:
    """Return ``x`` broadcast to ``shape``; its axes are the last ones, as in NumPy."""
    if x.shape == shape:
        return x
    return lax.broadcast_in_dim(x, shape, tuple(range(len(shape) - x.ndim, len(shape))))


def bits(x: Array) -> Array:
    """Return the bits of float32 values, as int32."""
    return lax.bitcast_convert_type(x, INT32)


def floats(b: Array) -> Array:
    """Return the float32 values of int32 bits; the inverse of `bits`."""
    return lax.bitcast_convert_type(b, FLOAT32)


def magnitude(b: Array) -> Array:
    """Return bits without their sign."""
    return lax.bitwise_and(b, full(b, MAGNITUDE))


def is_nan(x: Array) -> Array:
    """Return where ``x`` is NaN, seen in its bits: a compiler may assume that ``x != x`` is false."""
    b = magnitude(bits(x))
    return lax.gt(b, full(b, INFINITY))


def flushed(b: Array) -> Array:
    """Return bits of a product with everything below 2**-100 replaced by 0; -0 becomes 0 too."""
    small = lax.lt(magnitude(b), full(b, LEAST))
    return lax.select(small, full(b, 0), b)


def negative(x: Array) -> Array:
    """Return -x, where the negative of 0 is 0."""
    b = bits(x)
    return floats(lax.select(lax.eq(b, full(b, 0)), b, lax.bitwise_xor(b, full(b, SIGN))))


def absolute(x: Array) -> Array:
    """Return the magnitude of ``x``."""
    return floats(magnitude(bits(x)))


def with_sign(x: Array, sign: Array) -> Array:
    """Return the non-negative ``x`` with the sign of ``sign``; 0 keeps its own."""
    return lax.select(lax.lt(sign, full(sign, 0)), negative(x), x)


def power_of_two(n: Array) -> Array:
    """Return 2**n in float32, for int32 ``n`` from -126 to 127."""
    return floats(lax.shift_left(lax.add(n, full(n, 127)), full(n, 23)))


def quiet(x: Array) -> Array:
    """Return ``x`` with every NaN given the same bits."""
    b = bits(x)
    return floats(lax.select(is_nan(x), full(b, NAN), b))


def canonical(x: Array) -> Array:
    """Return any float32 as a canonical value: rounded towards zero to a multiple of 2**-123, each NaN as `NAN`.

    It changes no canonical value. All in integers: a machine may take a subnormal float for zero.
    """
    b = bits(x)
    exponent = lax.shift_right_logical(magnitude(b), full(b, 23))
    # a float with exponent field E has 27 - E bits below 2**-123; there are none above 2**-100, where E >= 27
    below = lax.clamp(np.int32(0), lax.sub(full(b, 27), exponent), np.int32(31))
    kept = lax.bitwise_and(b, lax.shift_left(full(b, -1), below))
    # E < 4 is a magnitude below 2**-123, of which nothing is left; -0 becomes 0 in this way.
    kept = lax.select(lax.lt(exponent, full(b, 4)), full(b, 0), kept)
    return floats(lax.select(is_nan(x), full(b, NAN), kept))


def canonical_constant(x: Any) -> np.ndarray:
    """Return the `canonical` value of a constant, computed now and not by the compiler."""
    b = np.array(x, np.float32).view(np.int32)
    size = b & np.int32(MAGNITUDE)
    exponent = size >> np.int32(23)
    kept = b & (np.int32(-1) << np.clip(27 - exponent, 0, 31).astype(np.int32))
    # The same cases as in `canonical`, which makes the same bits of what is known only at run time.
    kept = np.where(exponent < 4, 0, np.where(size > INFINITY, NAN, kept)).astype(np.int32)
    return kept.view(np.float32)


def removed(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without some of its axes."""
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)

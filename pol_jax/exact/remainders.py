"""The remainder of float32 division is computed exactly, in integers."""

from __future__ import annotations

import numpy as np
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.values import FLOAT64, INT64, MANTISSA, Array, absolute, bits, full, is_nan, magnitude, with_sign


def remainder(g: Guard, x: Array, y: Array) -> Array:
    """Return the exact remainder of x / y, with the sign of ``x``, as C's fmod does; NaN for infinite ``x`` or y = 0.

    For x = m * 2**d * unit and y = n * unit, with integers of 24 bits, it is (m * 2**d mod n) * unit; 2**d mod n comes
    from squares modulo n, of which none exceeds 48 bits.
    """
    m, exponent = _parts(x)
    n, unit = _parts(y)
    # Exponents of float32 differ by less than 512; where ``x`` is the smaller one, it is itself the remainder (below).
    difference = lax.max(lax.sub(exponent, unit), full(unit, 0))
    n = lax.max(n, full(n, 1))
    rest = lax.rem(lax.mul(lax.rem(m, n), _power_modulo(difference, n)), n)
    scale = lax.bitcast_convert_type(lax.shift_left(lax.add(unit, full(unit, 1023)), full(unit, 52)), FLOAT64)
    # a multiple of 2**-123 like x and y, of 24 bits: the conversion is exact, and there is nothing to flush
    exact = lax.mul(lax.convert_element_type(rest, FLOAT64), scale)
    value = g.sealed(bits(lax.convert_element_type(exact, np.float32)))
    # This also decides x = 0, of which `_parts` makes a number that is not 0.
    value = lax.select(lax.lt(absolute(x), absolute(y)), absolute(x), value)
    value = with_sign(value, x)
    size_x, size_y = absolute(x), absolute(y)
    undefined = lax.bitwise_or(lax.eq(size_x, full(x, np.inf)), lax.eq(size_y, full(y, 0)))
    undefined = lax.bitwise_or(undefined, lax.bitwise_or(is_nan(x), is_nan(y)))
    return lax.select(undefined, full(x, np.nan), value)


def _parts(x: Array) -> tuple[Array, Array]:
    """Return a positive integer of 24 bits and an exponent, as int64, which make up the magnitude of a float32."""
    b = magnitude(bits(x))
    # The leading bit of a mantissa isn't stored. No canonical value is subnormal, so only 0 lacks it.
    whole = lax.bitwise_or(lax.bitwise_and(b, full(b, MANTISSA)), full(b, MANTISSA + 1))
    exponent = lax.sub(lax.shift_right_logical(b, full(b, 23)), full(b, 150))
    return lax.convert_element_type(whole, INT64), lax.convert_element_type(exponent, INT64)


def _power_modulo(exponent: Array, n: Array) -> Array:
    """Return 2**exponent modulo n, for exponents below 512."""
    square, result = lax.rem(full(n, 2), n), lax.rem(full(n, 1), n)
    for bit in range(9):
        taken = lax.eq(lax.bitwise_and(exponent, full(exponent, 1 << bit)), full(exponent, 1 << bit))
        result = lax.select(taken, lax.rem(lax.mul(result, square), n), result)
        square = lax.rem(lax.mul(square, square), n)
    return result

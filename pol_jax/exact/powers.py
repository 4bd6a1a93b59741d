"""Powers are computed with the logarithm and its product in float64, so that large exponents lose no accuracy."""

from __future__ import annotations

import numpy as np
from jax import lax

from pol_jax.exact.exponentials import (
    LARGEST,
    LN2,
    LOG2_E,
    limits_of_logarithm,
    log_of_mantissa,
    scaled_exponential,
    split,
)
from pol_jax.exact.guard import Guard
from pol_jax.exact.quotients import divide
from pol_jax.exact.values import FLOAT32, FLOAT64, INT32, Array, absolute, full, is_nan, negative


def power(g: Guard, x: Array, y: Array) -> Array:
    """Return x**y for float32 ``x`` and float32 or integer ``y``.

    It is 1 for y = 0 and for x = 1, NaN for a negative ``x`` and a ``y`` that is no integer.
    """
    y = lax.convert_element_type(y, FLOAT32)
    size = absolute(x)
    t = g.sealed_wide(lax.mul(lax.convert_element_type(y, FLOAT64), _wide_logarithm(g, size)))
    # The reduction of `exponential`, in float64: an error of log(x) counts y times, so float32 would lose large
    # results.
    inside = lax.clamp(np.float64(-80), t, np.float64(LARGEST))
    n = lax.round(g.sealed_wide(lax.mul(inside, full(inside, LOG2_E))), lax.RoundingMethod.TO_NEAREST_EVEN)
    rest = lax.sub(inside, g.sealed_wide(lax.mul(n, full(n, LN2))))
    whole = lax.convert_element_type(n, INT32)
    value = scaled_exponential(g, g.narrow(t), g.narrow(rest), whole)
    return _limits(x, y, _signed(x, y, value))


def _wide_logarithm(g: Guard, x: Array) -> Array:
    """Return log(x) in float64, about as accurate as a float32 near 1 and better by far elsewhere."""
    m, e = split(x)
    r, correction = log_of_mantissa(g, m)
    exponent = lax.convert_element_type(e, FLOAT64)
    fraction = g.sealed_wide(lax.add(g.wide(r), g.wide(correction)))
    return g.sealed_wide(lax.add(g.sealed_wide(lax.mul(exponent, full(exponent, LN2))), fraction))


def base_two_logarithm(g: Guard, x: Array) -> Array:
    """Return log2(x), exactly for powers of two."""
    log = _wide_logarithm(g, x)
    return limits_of_logarithm(x, g.narrow(lax.mul(log, full(log, LOG2_E))))


def _signed(x: Array, y: Array, size: Array) -> Array:
    """Return ``size`` with the sign of x**y, which is NaN for a negative ``x`` and a ``y`` that is no integer."""
    whole = lax.eq(lax.floor(y), y)
    # from 2**24 on, every float32 is even
    number = lax.convert_element_type(lax.clamp(np.float32(-(2.0**25)), y, np.float32(2.0**25)), INT32)
    odd = lax.eq(lax.bitwise_and(number, full(number, 1)), full(number, 1))
    of_negative = lax.select(whole, lax.select(odd, negative(size), size), full(x, np.nan))
    return lax.select(lax.lt(x, full(x, 0)), of_negative, size)


def _limits(x: Array, y: Array, value: Array) -> Array:
    """Return ``value``, or what x**y is where ``x`` or ``y`` is 0, 1, infinite or NaN."""
    size = absolute(x)
    nothing = lax.eq(size, full(x, 0))
    endless = lax.eq(size, full(x, np.inf))
    grows = lax.gt(y, full(y, 0))
    edge = lax.select(lax.eq(nothing, grows), full(x, 0), full(x, np.inf))
    value = lax.select(lax.bitwise_or(nothing, endless), _signed(x, y, edge), value)
    # NaN before 1: by IEEE 754, 1**y and x**0 are 1 even if the other operand is NaN.
    value = lax.select(lax.bitwise_or(is_nan(x), is_nan(y)), full(x, np.nan), value)
    one = lax.bitwise_or(lax.eq(x, full(x, 1)), lax.eq(y, full(y, 0)))
    return lax.select(one, full(x, 1), value)


def integer_power(g: Guard, x: Array, exponent: int) -> Array:
    """Return x**exponent by repeated squaring, from the lowest bit up; the reciprocal of it if negative."""
    # docs/exact.md fixes this order: from the other end of the exponent, the same power would have other roundings.
    result: Array | None = None
    left = abs(exponent)
    while left:
        if left & 1:
            result = x if result is None else g.mul(result, x)
        left >>= 1
        if left:
            x = g.mul(x, x)
    result = full(x, 1) if result is None else result
    return divide(g, 1.0, result) if exponent < 0 else result

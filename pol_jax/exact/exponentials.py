"""Exponentials, logarithms and hyperbolic functions are fixed sequences of guarded operations.

Sources: ranges and polynomials of ``exp`` and ``log`` are those of S. Moshier's Cephes library (expf.c, logf.c); the
rational function of ``tanh`` is Eigen's (Core/MathFunctionsImpl.h).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.quotients import divide, square_root
from pol_jax.exact.values import (
    FLOAT32,
    INT32,
    Array,
    absolute,
    bits,
    floats,
    flushed,
    full,
    is_nan,
    negative,
    with_sign,
)

_NEAREST: Final = lax.RoundingMethod.TO_NEAREST_EVEN
LOG2_E: Final = 1.44269504088896341
LN2: Final = 0.6931471805599453
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
"""ln 2 in two parts (Cody and Waite); the first has 9 bits, so that its product with an exponent is exact."""
LARGEST: Final = 88.72283
"""The largest float32 whose exponential is finite."""

_EXP: Final = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG: Final = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_TANH_ABOVE: Final = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_BELOW: Final = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def exponential(g: Guard, x: Array) -> Array:
    """Return e**x; 0 below 2**-100, an infinity above the largest float32."""
    # Below -80 the result is below 2**-100, which is flushed: so n never comes near the smallest exponent.
    inside = lax.clamp(np.float32(-80), x, np.float32(LARGEST))
    n = lax.round(g.product(inside, LOG2_E), _NEAREST)
    r = g.sub(g.sub(inside, g.product(n, _LN2_HIGH)), g.product(n, _LN2_LOW))
    return scaled_exponential(g, x, r, lax.convert_element_type(n, INT32))


def scaled_exponential(g: Guard, x: Array, r: Array, n: Array) -> Array:
    """Return e**r * 2**n, for |r| up to 0.35, and the limits of e**x where ``x`` is beyond them."""
    square = g.product(r, r)
    value = g.add(g.add(g.product(g.polynomial(r, _EXP), square), r), 1)
    # e**r lies in [0.7, 1.42), so that n, added to its exponent, stays within the exponents of float32
    b = flushed(lax.add(bits(value), lax.shift_left(n, full(n, 23))))
    result = lax.select(lax.gt(x, full(x, LARGEST)), full(x, np.inf), g.sealed(b))
    result = lax.select(lax.lt(x, full(x, -80)), full(x, 0), result)
    return lax.select(is_nan(x), x, result)


def exponential_minus_one(g: Guard, x: Array) -> Array:
    """Return e**x - 1, also near 0."""
    near = g.mul(g.polynomial(x, (*_EXP[:-1], 0.5, 1.0)), x)
    # Near 0 the difference would cancel. 0.3 is within the 0.35 for which the polynomial is made.
    small = lax.lt(absolute(x), full(x, 0.3))
    return lax.select(small, near, g.sub(exponential(g, x), 1))


def base_two_exponential(g: Guard, x: Array) -> Array:
    """Return 2**x."""
    inside = lax.clamp(np.float32(-115), x, np.float32(127.99999))
    n = lax.round(inside, _NEAREST)
    r = g.product(g.sub(inside, n), LN2)
    scaled = g.mul(x, LN2)
    # `scaled_exponential` finds its limits in x ln 2. At most 88, so that rounding makes no infinity of x below 128.
    beyond = lax.select(lax.ge(x, full(x, 128)), full(x, np.inf), lax.clamp(np.float32(-85), scaled, np.float32(88)))
    beyond = lax.select(is_nan(x), x, beyond)
    return scaled_exponential(g, beyond, r, lax.convert_element_type(n, INT32))


def split(x: Array) -> tuple[Array, Array]:
    """Return a positive ``x`` as m * 2**e, with m in [sqrt(1/2), sqrt(2)); m and the int32 e."""
    b = bits(x)
    # 0x3F3504F3 are the bits of sqrt(1/2): counted from there, each binade goes from sqrt(1/2) to sqrt(2).
    offset = lax.sub(b, full(b, 0x3F3504F3))
    e = lax.shift_right_arithmetic(offset, full(b, 23))
    return floats(lax.sub(b, lax.shift_left(e, full(b, 23)))), e


def log_of_mantissa(g: Guard, m: Array) -> tuple[Array, Array]:
    """Return log(m) as a sum of m - 1, which is exact, and a correction."""
    r = g.sub(m, 1)
    square = g.product(r, r)
    cube = g.product(g.product(g.polynomial(r, _LOG), r), square)
    return r, g.sub(cube, g.product(square, 0.5))


def logarithm(g: Guard, x: Array) -> Array:
    """Return the natural logarithm; minus infinity at 0, NaN below."""
    m, e = split(x)
    n = lax.convert_element_type(e, FLOAT32)
    r, correction = log_of_mantissa(g, m)
    low = g.add(correction, g.product(n, _LN2_LOW))
    value = g.add(g.add(r, low), g.product(n, _LN2_HIGH))
    return limits_of_logarithm(x, g.sealed(flushed(bits(value))))


def limits_of_logarithm(x: Array, value: Array) -> Array:
    """Return ``value`` where ``x`` is positive and finite; the limits of the logarithm elsewhere."""
    value = lax.select(lax.eq(x, full(x, 0)), full(x, -np.inf), value)
    value = lax.select(lax.lt(x, full(x, 0)), full(x, np.nan), value)
    unchanged = lax.bitwise_or(lax.eq(x, full(x, np.inf)), is_nan(x))
    return lax.select(unchanged, x, value)


def logarithm_plus_one(g: Guard, x: Array) -> Array:
    """Return log(1 + x), also near 0: log(u) * x / (u - 1) for the rounded u = 1 + x.

    Source: D. Goldberg, "What every computer scientist should know about floating-point arithmetic", theorem 4.
    """
    u = g.add(x, 1)
    difference = g.sub(u, 1)
    exact = lax.eq(difference, full(x, 0))
    ratio = divide(g, x, lax.select(exact, full(x, 1), difference))
    value = lax.select(exact, x, g.mul(logarithm(g, u), ratio))
    return lax.select(lax.eq(x, full(x, np.inf)), x, value)


def logistic(g: Guard, x: Array) -> Array:
    """Return 1 / (1 + e**-x)."""
    return divide(g, 1.0, g.add(exponential(g, negative(x)), 1))


def hyperbolic_tangent(g: Guard, x: Array) -> Array:
    """Return tanh(x), by a rational function up to 7.9; ``x`` itself below 0.0004."""
    limit = np.float32(7.90531110763549805)
    inside = lax.clamp(-limit, x, limit)
    square = g.product(inside, inside)
    above = g.product(g.polynomial(square, _TANH_ABOVE), inside)
    value = divide(g, above, g.polynomial(square, _TANH_BELOW))
    # tanh(x) is x - x**3 / 3 + ...: below 0.0004 the second term is less than a unit in the last place.
    small = lax.bitwise_or(lax.lt(absolute(x), full(x, 0.0004)), is_nan(x))
    return lax.select(small, x, value)


def hyperbolic_sine(g: Guard, x: Array) -> Array:
    """Return sinh(x) = (u + u / (u + 1)) / 2 for u = e**x - 1."""
    u = exponential_minus_one(g, absolute(x))
    value = g.mul(g.add(u, divide(g, u, g.add(u, 1))), 0.5)
    # An infinite u would make NaN of u / (u + 1).
    value = lax.select(lax.eq(u, full(u, np.inf)), u, value)
    return with_sign(value, x)


def hyperbolic_cosine(g: Guard, x: Array) -> Array:
    """Return cosh(x) = (e**x + e**-x) / 2."""
    e = exponential(g, absolute(x))
    return g.mul(g.add(e, divide(g, 1.0, e)), 0.5)


def inverse_hyperbolic_sine(g: Guard, x: Array) -> Array:
    """Return asinh(x) = log1p(|x| + x**2 / (1 + sqrt(1 + x**2))), and log(2 |x|) above 2**12."""
    size = absolute(x)
    # Above 2**12, log(2 x) is off by about 1 / (4 x**2), below 2**-26; and x**2 can't overflow below.
    large = lax.gt(size, full(x, 4096))
    near = lax.select(large, full(x, 1), size)
    square = g.mul(near, near)
    rest = divide(g, square, g.add(square_root(g, g.add(square, 1)), 1))
    value = logarithm_plus_one(g, g.add(near, rest))
    return with_sign(lax.select(large, g.add(logarithm(g, size), np.float32(LN2)), value), x)


def inverse_hyperbolic_cosine(g: Guard, x: Array) -> Array:
    """Return acosh(x) = log1p(t + sqrt(2 t + t**2)) for t = x - 1, and log(2 x) above 2**12; NaN below 1."""
    large = lax.gt(x, full(x, 4096))
    t = g.sub(lax.select(large, full(x, 1), x), 1)
    value = logarithm_plus_one(g, g.add(t, square_root(g, g.add(g.add(t, t), g.mul(t, t)))))
    return lax.select(large, g.add(logarithm(g, x), np.float32(LN2)), value)


def inverse_hyperbolic_tangent(g: Guard, x: Array) -> Array:
    """Return atanh(x) = log1p(2 x / (1 - x)) / 2 of the magnitude; infinite at 1, NaN above."""
    size = absolute(x)
    value = g.mul(logarithm_plus_one(g, divide(g, g.add(size, size), g.sub(1, size))), 0.5)
    return with_sign(value, x)


def cube_root(g: Guard, x: Array) -> Array:
    """Return the cube root, by one step of Newton's method in float32 on exp(log(|x|) / 3)."""
    size = absolute(x)
    guess = exponential(g, divide(g, logarithm(g, size), 3.0))
    correction = divide(g, g.sub(divide(g, size, g.mul(guess, guess)), guess), 3.0)
    root = g.add(guess, correction)
    # Of these two the logarithm is infinite, and Newton's step NaN.
    special = lax.bitwise_or(lax.eq(size, full(size, 0)), lax.eq(size, full(size, np.inf)))
    return with_sign(lax.select(special, size, root), x)

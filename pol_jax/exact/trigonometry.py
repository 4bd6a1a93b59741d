"""Sine, cosine and their inverses are fixed sequences of guarded operations.

The polynomials are those of S. Moshier's Cephes library (sinf.c, tanf.c, atanf.c, asinf.c).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.quotients import divide, square_root
from pol_jax.exact.values import INT32, Array, absolute, full, is_nan, negative, with_sign

_NEAREST: Final = lax.RoundingMethod.TO_NEAREST_EVEN
_TWO_OVER_PI: Final = 0.6366197723675814
_HALF_PI_PARTS: Final = (1.5707963109016418, 1.5893254712295857e-08, 6.123233601181349e-17)
"""pi/2 in three parts of at most 26 bits, multiples of 2**-25, 2**-51 and 2**-77."""
_FARTHEST: Final = 2.0**26
"""Up to here, the number of quarters has 26 bits, so that its products with the parts of pi/2 are exact in float64."""
_SINE: Final = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COSINE: Final = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_ARC_TANGENT: Final = (8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)


def sine(g: Guard, x: Array) -> Array:
    """Return sin(x); NaN from 2**26 on, where a float32 tells less and less of an angle."""
    return _circular(g, x, 0)


def cosine(g: Guard, x: Array) -> Array:
    """Return cos(x); NaN from 2**26 on."""
    return _circular(g, x, 1)


def _circular(g: Guard, x: Array, quarters: int) -> Array:
    """Return sin(x + quarters * pi/2)."""
    quarter, r = _reduced(g, x)
    sin, cos = _sine_and_cosine(g, r)
    # Bits 0 and 1 of the number of quarters say which of sin, cos, -sin, -cos it is, for negative numbers too.
    quarter = lax.add(quarter, full(quarter, quarters))
    odd = lax.eq(lax.bitwise_and(quarter, full(quarter, 1)), full(quarter, 1))
    down = lax.eq(lax.bitwise_and(quarter, full(quarter, 2)), full(quarter, 2))
    value = lax.select(odd, cos, sin)
    return _within(x, lax.select(down, negative(value), value))


def tangent(g: Guard, x: Array) -> Array:
    """Return tan(x) = sin(x) / cos(x); NaN from 2**26 on."""
    quarter, r = _reduced(g, x)
    sin, cos = _sine_and_cosine(g, r)
    odd = lax.eq(lax.bitwise_and(quarter, full(quarter, 1)), full(quarter, 1))
    # A quarter further, tan(r + pi/2) = -cos(r) / sin(r).
    value = divide(g, lax.select(odd, negative(cos), sin), lax.select(odd, sin, cos))
    return _within(x, value)


def _within(x: Array, value: Array) -> Array:
    """Return ``value`` where ``x`` can be reduced, NaN elsewhere."""
    return lax.select(lax.lt(absolute(x), full(x, _FARTHEST)), value, full(x, np.nan))


def _reduced(g: Guard, x: Array) -> tuple[Array, Array]:
    """Return the nearest multiple n of pi/2, as int32, and x - n * pi/2.

    In float64: n has 26 bits, so the products are exact, and so are the first two differences, multiples of 2**-25
    and 2**-51 of at most 2. Contraction changes nothing; only the order of the last difference needs a seal.
    """
    wide = g.wide(x)
    n = lax.round(lax.mul(wide, full(wide, _TWO_OVER_PI)), _NEAREST)
    first, second, third = (lax.mul(n, full(n, part)) for part in _HALF_PI_PARTS)
    rest = g.sealed_wide(lax.sub(g.sealed_wide(lax.sub(wide, first)), second))
    return lax.convert_element_type(n, INT32), g.narrow(lax.sub(rest, third))


def _sine_and_cosine(g: Guard, r: Array) -> tuple[Array, Array]:
    """Return sin(r) and cos(r), for |r| up to pi/4."""
    square = g.product(r, r)
    sin = g.add(g.mul(g.product(g.polynomial(square, _SINE), square), r), r)
    fourth = g.product(g.product(g.polynomial(square, _COSINE), square), square)
    cos = g.add(g.sub(fourth, g.product(square, 0.5)), 1)
    return sin, cos


def arc_tangent(g: Guard, x: Array) -> Array:
    """Return atan(x) of float32."""
    return arc_tangent_of_ratio(g, x, full(x, 1))


def arc_tangent_of_ratio(g: Guard, y: Array, x: Array) -> Array:
    """Return atan2(y, x), the angle of the point (x, y); 0 at the origin, where 0 has no sign."""
    a, b = absolute(y), absolute(x)
    steep = lax.gt(a, b)
    low, high = lax.select(steep, b, a), lax.select(steep, a, b)
    origin = lax.eq(high, full(high, 0))
    endless = lax.eq(low, full(low, np.inf))
    # 0 / 0 and infinity / infinity would be NaN; the angle is 0 there, and a diagonal, as IEEE 754 has it.
    ratio = divide(g, low, lax.select(origin, full(high, 1), high))
    angle = _arc_tangent_up_to_one(g, lax.select(endless, full(ratio, 1), ratio))
    angle = lax.select(steep, g.sub(np.float32(np.pi / 2), angle), angle)
    angle = lax.select(lax.lt(x, full(x, 0)), g.sub(np.float32(np.pi), angle), angle)
    angle = with_sign(angle, y)
    return lax.select(lax.bitwise_or(is_nan(x), is_nan(y)), full(x, np.nan), angle)


def _arc_tangent_up_to_one(g: Guard, x: Array) -> Array:
    """Return atan(x) for x in [0, 1], from above tan(pi/8) by way of (x - 1) / (x + 1)."""
    far = lax.gt(x, full(x, 0.41421356))
    r = lax.select(far, divide(g, g.sub(x, 1), g.add(x, 1)), x)
    square = g.product(r, r)
    value = g.add(g.mul(g.product(g.polynomial(square, _ARC_TANGENT), square), r), r)
    return lax.select(far, g.add(value, np.float32(np.pi / 4)), value)


def arc_sine(g: Guard, x: Array) -> Array:
    """Return asin(x) = atan2(x, sqrt((1 - x) (1 + x))); NaN beyond 1."""
    return arc_tangent_of_ratio(g, x, square_root(g, g.mul(g.sub(1, x), g.add(1, x))))


def arc_cosine(g: Guard, x: Array) -> Array:
    """Return acos(x) = atan2(sqrt((1 - x) (1 + x)), x); NaN beyond 1."""
    return arc_tangent_of_ratio(g, square_root(g, g.mul(g.sub(1, x), g.add(1, x))), x)

"""The error function, its complement and its inverse are fixed sequences of guarded operations.

Sources: ``erf`` is Eigen's rational function; ``erfc`` above 1 is that of S. Moshier's Cephes library (ndtrf.c);
``erf_inv``: M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2010, single precision.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jax import lax

from pol_jax.exact.exponentials import exponential, logarithm
from pol_jax.exact.guard import Guard
from pol_jax.exact.quotients import divide, square_root
from pol_jax.exact.values import Array, absolute, full, is_nan, negative, with_sign

_ERF_ABOVE: Final = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_BELOW: Final = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)
_ERFC_TO_2: Final = (
    2.326819970068386e-2,
    -1.387039388740657e-1,
    3.687424674597105e-1,
    -5.824733027278666e-1,
    6.210004621745983e-1,
    -4.944515323274145e-1,
    3.404879937665872e-1,
    -2.741127028184656e-1,
    5.638259427386472e-1,
)
_ERFC_FROM_2: Final = (
    -1.047766399936249e1,
    1.297719955372516e1,
    -7.495518717768503e0,
    2.921019019210786e0,
    -1.015265279202700e0,
    4.218463358204948e-1,
    -2.820767439740514e-1,
    5.641895067754075e-1,
)
_INVERSE_CENTRE: Final = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_INVERSE_TAIL: Final = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


def error_function(g: Guard, x: Array) -> Array:
    """Return erf(x); its argument is limited to 4, where the value is 1."""
    inside = lax.clamp(np.float32(-4), x, np.float32(4))
    square = g.product(inside, inside)
    above = g.mul(g.polynomial(square, _ERF_ABOVE), inside)
    value = divide(g, above, g.polynomial(square, _ERF_BELOW))
    # The quotient of two rounded polynomials may be a last place beyond 1.
    return lax.select(is_nan(x), x, lax.clamp(np.float32(-1), value, np.float32(1)))


def complementary_error_function(g: Guard, x: Array) -> Array:
    """Return erfc(x) = 1 - erf(x), also where that is small."""
    size = absolute(x)
    # Below 1, erf(x) is at most 0.85, so that 1 - erf(x) loses few bits; above, it would lose most of them.
    near = lax.lt(size, full(x, 1))
    r = divide(g, 1.0, lax.select(near, full(x, 1), size))
    square = g.product(r, r)
    to_2, from_2 = g.polynomial(square, _ERFC_TO_2), g.polynomial(square, _ERFC_FROM_2)
    factor = g.product(r, lax.select(lax.lt(size, full(x, 2)), to_2, from_2))
    tail = g.mul(exponential(g, negative(g.mul(size, size))), factor)
    tail = lax.select(lax.lt(x, full(x, 0)), g.sub(2, tail), tail)
    tail = lax.select(is_nan(x), x, tail)
    return lax.select(near, g.sub(1, error_function(g, x)), tail)


def inverse_error_function(g: Guard, x: Array) -> Array:
    """Return the inverse of erf; infinite at 1, NaN beyond."""
    w = negative(logarithm(g, g.mul(g.sub(1, x), g.add(1, x))))
    centre = lax.lt(w, full(x, 5))
    by_centre = g.polynomial(g.sub(lax.select(centre, w, full(w, 2.5)), 2.5), _INVERSE_CENTRE)
    root = square_root(g, lax.select(centre, full(w, 5), w))
    by_tail = g.polynomial(g.sub(lax.select(lax.eq(root, full(root, np.inf)), full(root, 3), root), 3), _INVERSE_TAIL)
    value = g.mul(lax.select(centre, by_centre, by_tail), x)
    edge = lax.eq(absolute(x), full(x, 1))
    return lax.select(edge, with_sign(full(x, np.inf), x), value)

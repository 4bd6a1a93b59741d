"""Division and roots are correctly rounded, on any machine whose float64 division and root are nearly so.

A quotient of two float32 numbers is nowhere nearer than 2**-49 (relative) to the middle between two float32 numbers, a
square root nowhere nearer than 2**-51, a reciprocal root nowhere nearer than 2**-51.51. So an approximation in float64
that is better than this rounds to the same float32 as the true value, whatever its last bits are. `docs/exact.md` has
the argument (single operations).
"""

from __future__ import annotations

import numpy as np
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.values import FLOAT64, Array, Scalar, full, paired


def divide(g: Guard, x: Array | Scalar, y: Array | Scalar) -> Array:
    """Return the quotient x / y, correctly rounded, flushed below 2**-100. x / 0 is infinite or NaN, as in IEEE 754.

    Where ``y`` has fewer elements, it is divided by once for each of them: a product with a reciprocal of float64 errs
    by 2**-52, and rounds to the same float32.
    """
    if isinstance(x, Array) and isinstance(y, Array) and y.size < x.size:
        reciprocal = g.sealed_wide(lax.div(full(g.wide(y), 1), g.wide(y)))
        return g.narrow(lax.mul(*paired(g.wide(x), reciprocal)))
    x, y = paired(x, y)
    return g.narrow(lax.div(g.wide(x), lax.convert_element_type(y, FLOAT64)))


def divide_by_constant(g: Guard, x: Array, y: float) -> Array:
    """Return the quotient x / y for a float32 that is known now and not 0: by its reciprocal, with the same bits."""
    # The reciprocal of a power of two is a float32, and the product with it is the quotient: no float64 is needed.
    mantissa, _ = np.frexp(y)
    if abs(mantissa) == 0.5 and 2.0**-100 <= abs(y) <= 2.0**100:
        return g.mul(x, 1 / y)
    wide = g.wide(x)
    return g.narrow(lax.mul(wide, full(wide, 1 / y)))


def square_root(g: Guard, x: Array) -> Array:
    """Return the square root, correctly rounded; NaN below 0."""
    return g.narrow(lax.sqrt(g.wide(x)))


def reciprocal_root(g: Guard, x: Array) -> Array:
    """Return 1 / sqrt(x), correctly rounded; an infinity at 0, NaN below."""
    root = g.sealed_wide(lax.sqrt(g.wide(x)))
    return g.narrow(lax.div(full(root, 1), root))

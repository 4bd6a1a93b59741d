"""The guard makes additions and multiplications that every compiler must round one by one.

A compiler may contract ``a * b + c`` into one fused operation with one rounding, reassociate sums, or keep a result in
a wider format. It may do none of that across integer arithmetic: here every result passes, as bits, through the
addition of an integer zero that no compiler can know to be zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jax import lax

from pol_jax.exact.values import FLOAT64, INT32, INT64, Array, Scalar, bits, floats, flushed, full, paired


def opaque_zero(word: Array) -> Array:
    """Return an int32 zero made of any uint32 scalar that is known only at run time.

    A square is 0 or 1 modulo 3, never 2, so that half of it, rounded down, is 0. A compiler's analysis of ranges and
    bits sees a remainder of 0 to 2. 16 bits are squared, so that nothing overflows.
    """
    # `tests/exact/test_guard.py` fails if a compiler ever finds out that the result is always 0.
    low = lax.bitwise_and(word, np.uint32(0xFFFF))
    half = lax.shift_right_logical(lax.rem(lax.mul(low, low), np.uint32(3)), np.uint32(1))
    return lax.convert_element_type(half, INT32)


@dataclass(frozen=True)
class Guard:
    """A guard has the single operations of IEEE 754, for a program whose opaque zero is ``zero``.

    Operands and results are canonical float32 (`pol_jax.exact.values`), of one shape; one operand may be a scalar.

    Attributes:
        zero: int32 scalar from `opaque_zero`.
    """

    zero: Array

    def sealed(self, b: Array) -> Array:
        """Return the float32 values of ``b``, of which no compiler knows how they were computed."""
        return floats(lax.add(b, lax.broadcast(self.zero, b.shape)))

    def add(self, x: Array | Scalar, y: Array | Scalar) -> Array:
        """Return x + y, rounded once. The sum of multiples of 2**-123 is one: there is nothing to flush."""
        return self.sealed(bits(lax.add(*paired(x, y))))

    def sub(self, x: Array | Scalar, y: Array | Scalar) -> Array:
        """Return x - y, rounded once."""
        return self.sealed(bits(lax.sub(*paired(x, y))))

    def mul(self, x: Array | Scalar, y: Array | Scalar) -> Array:
        """Return x * y, rounded once, and flushed to zero below 2**-100."""
        return self.sealed(flushed(bits(lax.mul(*paired(x, y)))))

    def product(self, x: Array | Scalar, y: Array | Scalar) -> Array:
        """Return x * y, rounded once, not flushed: for factors of known size, or where so little is lost anyway."""
        return self.sealed(bits(lax.mul(*paired(x, y))))

    def polynomial(self, x: Array, coefficients: Sequence[float]) -> Array:
        """Evaluate a polynomial by Horner's rule in float32, the highest coefficient first.

        Only the products are sealed: a sum that is used as a factor can't be contracted with what follows.
        """
        value = full(x, coefficients[0])
        for coefficient in coefficients[1:]:
            value = lax.add(self.product(value, x), full(x, coefficient))
        return self.sealed(bits(value))

    def wide(self, x: Array) -> Array:
        """Return ``x`` in float64, sealed, so that no compiler does what follows in float32 instead."""
        return self.sealed_wide(lax.convert_element_type(x, FLOAT64))

    def sealed_wide(self, x: Array) -> Array:
        """Return float64 values sealed, as `sealed` does it."""
        zero = lax.broadcast(lax.convert_element_type(self.zero, INT64), x.shape)
        return lax.bitcast_convert_type(lax.add(lax.bitcast_convert_type(x, INT64), zero), FLOAT64)

    def narrow(self, x: Array) -> Array:
        """Return float64 values, rounded once to float32 and flushed to zero below 2**-100."""
        return self.sealed(flushed(bits(lax.convert_element_type(x, np.float32))))

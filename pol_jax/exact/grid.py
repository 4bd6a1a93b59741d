"""A grid turns float32 values into small integers, multiples of a power of two, and back, with one rounding each way.

Sums of products of such integers are exact in any order and on any kernel, because every partial sum is an integer
below 2**53, which float64 holds. This is how products of matrices and convolutions become exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.values import (
    FLOAT64,
    INFINITY,
    INT64,
    Array,
    bits,
    full,
    magnitude,
    power_of_two,
    stretched,
)

FEWEST_BITS = 20
_LARGEST_SHIFT = 126


def bits_for(terms: int) -> int:
    """Return the bits p of each factor, for a sum of this many products: 2 p bits and those of the sum fit into 53.

    Never fewer than `FEWEST_BITS` up to 2**22 terms: longer sums go on in int64, from blocks of `block_of` terms.
    """
    # 24 bits are the precision of float32; 62 leave the sign of an int64, and a bit (docs/exact.md, rules of products).
    length = max(terms - 1, 0).bit_length()
    return min(24, max((53 - length) // 2, min(FEWEST_BITS, (62 - length) // 2)))


def block_of(p: int) -> int:
    """Return how many products of two factors of ``p`` bits a float64 can add up."""
    return int(2 ** (53 - 2 * p))


@dataclass(frozen=True)
class Grid:
    """A grid of a power of two, for each group of values, makes them integers: the nearest to values * 2**shift.

    Attributes:
        shift: int32, with axes of size 1 where values share a grid.
        finite: whether all values that share a grid are finite, in the shape of ``shift``.
    """

    shift: Array
    finite: Array

    def integers(self, x: Array) -> Array:
        """Return the values as integers of at most 2**p, in float64.

        Scaling by a power of two is exact, or smaller than 2**-126, which rounds to 0 like a subnormal number that a
        machine took for zero.
        """
        scaled = lax.mul(x, stretched(power_of_two(self.shift), x.shape))
        return lax.convert_element_type(lax.round(scaled, lax.RoundingMethod.TO_NEAREST_EVEN), FLOAT64)

    def unit(self) -> Array:
        """Return 2**-shift in float64; NaN where not all values are finite."""
        # Made of its bits, by the bias 1023 and the 52 bits of the mantissa: no backend promises an exact exp2.
        exponent = lax.convert_element_type(lax.sub(full(self.shift, 1023), self.shift), INT64)
        unit = lax.bitcast_convert_type(lax.shift_left(exponent, full(exponent, 52)), FLOAT64)
        return lax.select(self.finite, unit, full(unit, np.nan))


def grid_of(x: Array, axes: Sequence[int], p: int) -> Grid:
    """Return the grid on which values have ``p`` bits; those along ``axes`` share one, for their largest exponent."""
    # As integers: of many floats, a machine may lose a NaN (`pol_jax.exact.extrema`).
    largest = magnitude(bits(x))
    if axes:
        largest = lax.reduce_max_p.bind(largest, axes=tuple(axes), out_sharding=None)
    b = lax.reshape(largest, tuple(1 if at in axes else length for at, length in enumerate(x.shape)))
    # A float32 with the exponent field E is below 2**(E - 126).
    exponent = lax.sub(lax.shift_right_logical(b, full(b, 23)), full(b, 126))
    shift = lax.min(lax.sub(full(exponent, p), exponent), full(exponent, _LARGEST_SHIFT))
    return Grid(shift, lax.lt(b, full(b, INFINITY)))


def rounded(g: Guard, sums: Array, *units: Array) -> Array:
    """Return integer sums, in float64 or int64, times their units: rounded once to float32, flushed below 2**-100.

    A sum in int64 is rounded to float64 before. ``units`` are powers of two of a shape that broadcasts to that of
    ``sums``, so that the products are exact.
    """
    sums = lax.convert_element_type(sums, FLOAT64)
    for unit in units:
        sums = lax.mul(sums, stretched(unit, sums.shape))
    return g.narrow(sums)

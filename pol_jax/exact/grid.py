"""Grids: float32 values as small integers on a power-of-two grid, and back, with one rounding each way.

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
    FLOAT32,
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
    """The bits p of each factor, for a sum of so many products: 2 p bits and those of the sum fit into 53.

    Never fewer than `FEWEST_BITS` up to 2**22 terms: longer sums go on in int64, from blocks of `block_of` terms.
    """
    length = max(terms - 1, 0).bit_length()
    return min(24, max((53 - length) // 2, min(FEWEST_BITS, (62 - length) // 2)))


def block_of(p: int) -> int:
    """How many products of two factors of ``p`` bits a float64 can add up."""
    return int(2 ** (53 - 2 * p))


@dataclass(frozen=True)
class Gridded:
    """Values as integers, ``integers * 2**-shift``.

    Attributes:
        integers: float64, of magnitude 2**p at most.
        shift: int32, with axes of size 1 where values share a grid.
        finite: whether all values that share a grid are finite, in the shape of ``shift``.
    """

    integers: Array
    shift: Array
    finite: Array

    def unit(self) -> Array:
        """2**-shift in float64; NaN where not all values are finite."""
        exponent = lax.convert_element_type(lax.sub(full(self.shift, 1023), self.shift), INT64)
        unit = lax.bitcast_convert_type(lax.shift_left(exponent, full(exponent, 52)), FLOAT64)
        return lax.select(self.finite, unit, full(unit, np.nan))


def gridded(x: Array, axes: Sequence[int], p: int) -> Gridded:
    """Round ``x`` to integers of ``p`` bits; values along ``axes`` share a grid, given by their largest exponent.

    Scaling by a power of two is exact, or smaller than 2**-126, which rounds to 0 like a subnormal that was flushed.
    """
    size = magnitude(bits(x))
    largest = lax.reduce_max_p.bind(size, axes=tuple(axes), out_sharding=None) if axes else size
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    largest = lax.reshape(largest, kept)
    exponent = lax.sub(lax.shift_right_logical(largest, full(largest, 23)), full(largest, 126))
    shift = lax.min(lax.sub(full(exponent, p), exponent), full(exponent, _LARGEST_SHIFT))
    scale = stretched(power_of_two(shift), x.shape)
    integers = lax.round(lax.mul(x, scale), lax.RoundingMethod.TO_NEAREST_EVEN)
    return Gridded(lax.convert_element_type(integers, FLOAT64), shift, lax.lt(largest, full(largest, INFINITY)))


def rounded(g: Guard, sums: Array, *units: Array) -> Array:
    """Integers times their units, rounded once to float32, flushed to zero below 2**-100.

    ``units`` are powers of two of the shape of ``sums`` or of one that broadcasts to it, so the products are exact.
    """
    for unit in units:
        sums = lax.mul(sums, stretched(unit, sums.shape))
    return g.narrow(sums)


def as_float32(x: Array) -> Array:
    """Any array as float32, converted with one rounding."""
    return lax.convert_element_type(x, FLOAT32)

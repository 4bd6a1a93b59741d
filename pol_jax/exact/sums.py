"""Sums and products along axes are fixed trees of guarded operations.

No compiler chooses the order: the tree is spelled out in the program. The elements of the reduced axes, in row-major
order, are one list; as long as it has more than one element, a zero (for a product, a one) is appended to a list of odd
length, and the second half is added to the first, element by element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.values import Array, full, removed

Combine = Callable[[Array, Array], Array]


def _folded(x: Array, axis: int, combine: Combine, neutral: float) -> Array:
    """Fold ``x`` along an axis."""
    while x.shape[axis] > 1:
        if x.shape[axis] % 2:
            x = lax.pad(x, np.float32(neutral), [(0, int(at == axis), 0) for at in range(x.ndim)])
        half = x.shape[axis] // 2
        x = combine(
            lax.slice_in_dim(x, 0, half, axis=axis),
            lax.slice_in_dim(x, half, 2 * half, axis=axis),
        )
    return lax.squeeze(x, [axis])


def _reduced(x: Array, axes: Sequence[int], combine: Combine, neutral: float) -> Array:
    axes = sorted(axes)
    shape, count = removed(x.shape, axes), math.prod(x.shape[axis] for axis in axes)
    if not axes:
        return x
    if count == 0:
        return lax.full(shape, np.float32(neutral))
    # The tree is the same for any place of the axes: the last ones just need no transposition.
    if axes == list(range(x.ndim - len(axes), x.ndim)):
        return _folded(lax.reshape(x, (*shape, count)), len(shape), combine, neutral)
    others = [axis for axis in range(x.ndim) if axis not in axes]
    return _folded(lax.reshape(lax.transpose(x, (*axes, *others)), (count, *shape)), 0, combine, neutral)


def total(g: Guard, x: Array, axes: Sequence[int]) -> Array:
    """Return the sum of float32 ``x`` over ``axes``; 0 of nothing."""
    return _reduced(x, axes, g.add, 0.0)


def product(g: Guard, x: Array, axes: Sequence[int]) -> Array:
    """Return the product of float32 ``x`` over ``axes``; 1 of nothing."""
    return _reduced(x, axes, g.mul, 1.0)


def ordered(g: Guard, terms: Sequence[Array]) -> Array:
    """Return the sum of a few arrays, from the first to the last."""
    result = terms[0]
    for term in terms[1:]:
        result = g.add(result, term)
    return result


def cumulative(combine: Combine, neutral: float, x: Array, axis: int, reverse: bool) -> Array:
    """Return all sums (products, ...) from the start of an axis, or from its end if ``reverse``.

    For d = 1, 2, 4, ... every element is combined with the one d places before: the earlier is the first operand. It is
    the scan of W. D. Hillis and G. L. Steele, "Data parallel algorithms", 1986, in about log2(n) passes over the array.
    """
    size, distance = x.shape[axis], 1
    edge = lax.slice_in_dim(x, 0, min(1, size), axis=axis)
    while distance < size:
        gap = lax.broadcast_in_dim(
            full(edge, neutral), (*x.shape[:axis], distance, *x.shape[axis + 1 :]), tuple(range(x.ndim))
        )
        if reverse:
            shifted = lax.concatenate([lax.slice_in_dim(x, distance, size, axis=axis), gap], axis)
        else:
            shifted = lax.concatenate([gap, lax.slice_in_dim(x, 0, size - distance, axis=axis)], axis)
        x = combine(shifted, x)
        distance *= 2
    return x

"""Sums at indices are computed as exact integer sums in int64, which are rounded once.

An index may occur any number of times, in an order that machines choose. So updates are rounded to integers on one
grid for all of them, and added as integers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jax import lax

from pol_jax.exact.grid import grid_of, rounded
from pol_jax.exact.guard import Guard
from pol_jax.exact.values import INT32, INT64, Array, full, negative

_MOST_BITS = 40
"""A grid of updates has at most this many bits; no products are made of them, so that it may have more than 24."""


def scatter_add(g: Guard, operand: Array, indices: Array, updates: Array, params: dict[str, Any]) -> Array:
    """Compute `jax.lax.scatter_add` of float32: the sum of the updates of an element is added to it.

    Where indices are unique, an element has one update and the sum is that of two numbers. Otherwise all updates share
    a grid of 40 bits or fewer, and where an update isn't finite, the whole result is NaN.
    """
    if params["unique_indices"]:
        return g.add(operand, _bound("scatter_add", full(operand, 0), indices, updates, params))
    # Though all updates fall on one element, their sum is at most 2**62, which int64 holds.
    p = min(62 - max(updates.size - 1, 0).bit_length(), _MOST_BITS)
    grid = grid_of(updates, tuple(range(updates.ndim)), p)
    finite = lax.broadcast(lax.reshape(grid.finite, ()), updates.shape)
    # What becomes of a NaN or an infinity as an integer depends on the machine; the unit makes NaN of the result.
    integers = lax.convert_element_type(grid.integers(lax.select(finite, updates, full(updates, 0))), INT64)
    sums = _bound("scatter_add", lax.full(operand.shape, np.int64(0)), indices, integers, params)
    total = rounded(g, sums, lax.reshape(grid.unit(), ()))
    return g.add(operand, total)


def scatter_sub(g: Guard, operand: Array, indices: Array, updates: Array, params: dict[str, Any]) -> Array:
    """Compute `scatter_add` of negative updates."""
    return scatter_add(g, operand, indices, negative(updates), params)


def scatter(operand: Array, indices: Array, updates: Array, params: dict[str, Any]) -> Array:
    """Compute `jax.lax.scatter` for any dtype: of several updates of one element, the last remains.

    Machines choose an order. So the numbers of the updates are scattered, the greatest remains of those, and it says
    which update the element gets.
    """
    numbers = params["dimension_numbers"]
    window = numbers.update_window_dims
    outer = [axis for axis in range(updates.ndim) if axis not in window]
    count = math.prod(updates.shape[axis] for axis in outer)
    if params["unique_indices"] or count <= 1 or updates.size == 0:
        return _bound("scatter", operand, indices, updates, params)
    order = (*outer, *window)
    ordered = lax.transpose(updates, order)
    places = lax.reshape(lax.iota(INT32, updates.size), ordered.shape)
    places = lax.transpose(places, tuple(np.argsort(order)))
    # A maximum is the same in any order; -1 stays where no update fell.
    winner = _bound("scatter_max", lax.full(operand.shape, np.int32(-1)), indices, places, params)
    flat = lax.reshape(ordered, (updates.size,))
    chosen = flat.at[lax.max(winner, full(winner, 0))].get(mode="promise_in_bounds")
    return lax.select(lax.ge(winner, full(winner, 0)), chosen, operand)


def _bound(name: str, operand: Array, indices: Array, updates: Array, params: dict[str, Any]) -> Array:
    function = {"scatter": lax.scatter, "scatter_max": lax.scatter_max, "scatter_add": lax.scatter_add}[name]
    return function(
        operand,
        indices,
        updates,
        params["dimension_numbers"],
        indices_are_sorted=params["indices_are_sorted"],
        unique_indices=params["unique_indices"],
        mode=params["mode"],
    )

"""Products of matrices are computed as exact integer sums, which are rounded once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jax import lax

from pol_jax.exact.grid import bits_for, block_of, grid_of, rounded
from pol_jax.exact.guard import Guard
from pol_jax.exact.values import INT64, Array

DimensionNumbers = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]


def dot_general(g: Guard, a: Array, b: Array, dimension_numbers: DimensionNumbers) -> Array:
    """Compute `jax.lax.dot_general` of float32 arrays.

    Each row of ``a`` and each column of ``b`` (what is contracted) is rounded to its own grid of `bits_for` bits. The
    sum of the products is exact, and rounded once. A row or column that isn't finite makes NaN of its results.
    """
    (contract_a, contract_b), (batch_a, batch_b) = dimension_numbers
    if list(contract_a) != list(range(a.ndim - len(contract_a), a.ndim)):
        # products in float64 are faster where the first matrix has its rows in memory one after the other
        return dot_general(g, *_contracted_last(a, b, dimension_numbers))
    free_a = [axis for axis in range(a.ndim) if axis not in (*contract_a, *batch_a)]
    free_b = [axis for axis in range(b.ndim) if axis not in (*contract_b, *batch_b)]
    p = bits_for(math.prod(a.shape[axis] for axis in contract_a))
    grid_a, grid_b = grid_of(a, tuple(contract_a), p), grid_of(b, tuple(contract_b), p)
    sums = integer_dot(grid_a.integers(a), grid_b.integers(b), dimension_numbers, p)
    # the result's axes are those of the batch, those of a, those of b
    unit_a = lax.transpose(grid_a.unit(), (*batch_a, *free_a, *contract_a))
    unit_b = lax.transpose(grid_b.unit(), (*batch_b, *free_b, *contract_b))
    batch = [a.shape[axis] for axis in batch_a]
    rows, columns = [a.shape[axis] for axis in free_a], [b.shape[axis] for axis in free_b]
    unit_a = lax.reshape(unit_a, (*batch, *rows, *(1 for _ in columns)))
    unit_b = lax.reshape(unit_b, (*batch, *(1 for _ in rows), *columns))
    return rounded(g, sums, unit_a, unit_b)


def _contracted_last(a: Array, b: Array, dimension_numbers: DimensionNumbers) -> tuple[Array, Array, DimensionNumbers]:
    """Return the same product with the axes of ``a`` in the order of the batch, the rows, the sum."""
    (contract_a, contract_b), (batch_a, batch_b) = dimension_numbers
    free = [axis for axis in range(a.ndim) if axis not in (*contract_a, *batch_a)]
    # the barrier keeps compilers from undoing the transposition
    a = lax.optimization_barrier(lax.transpose(a, (*batch_a, *free, *contract_a)))
    last = tuple(range(a.ndim - len(contract_a), a.ndim))
    return a, b, ((last, contract_b), (tuple(range(len(batch_a))), batch_b))


def integer_dot(a: Array, b: Array, dimension_numbers: DimensionNumbers, p: int) -> Array:
    """Compute `jax.lax.dot_general` of integers of ``p`` bits: in float64 where that is exact, else in int64."""
    (contract_a, _), _ = dimension_numbers
    if math.prod(a.shape[axis] for axis in contract_a) <= block_of(p):
        # HIGHEST, because a backend may by default cut the factors to fewer bits, and the sums would not be exact.
        return lax.dot_general(a, b, dimension_numbers, precision=lax.Precision.HIGHEST)
    return _dot_in_blocks(a, b, dimension_numbers, block_of(p))


def _dot_in_blocks(a: Array, b: Array, dimension_numbers: DimensionNumbers, block: int) -> Array:
    """Return the integer product for longer sums: blocks are added in float64, and their sums in int64."""
    (contract_a, contract_b), (batch_a, batch_b) = dimension_numbers
    left, rows = _blocks(a, batch_a, contract_a, block)
    right, columns = _blocks(b, batch_b, contract_b, block)
    axis = len(batch_a)
    along, last = tuple(range(axis + 1)), (axis + 2,)
    parts = lax.dot_general(left, right, ((last, last), (along, along)), precision=lax.Precision.HIGHEST)
    # Each block is exact in float64, and int64 holds what they add up to, which may be beyond 2**53.
    sums = lax.reduce_sum_p.bind(lax.convert_element_type(parts, INT64), axes=(axis,), out_sharding=None)
    return lax.reshape(sums, (*(a.shape[at] for at in batch_a), *rows, *columns))


def _blocks(x: Array, batch: Sequence[int], contract: Sequence[int], block: int) -> tuple[Array, list[int]]:
    """Return an operand as [*batch, blocks, free, block], padded with zeros, and the sizes of its free axes."""
    free = [axis for axis in range(x.ndim) if axis not in (*batch, *contract)]
    sizes = [x.shape[axis] for axis in free]
    length = math.prod(x.shape[axis] for axis in contract)
    lead = [x.shape[axis] for axis in batch]
    x = lax.reshape(lax.transpose(x, (*batch, *contract, *free)), (*lead, length, math.prod(sizes)))
    count = -(-length // block)
    padding = [(0, 0, 0)] * len(lead) + [(0, count * block - length, 0), (0, 0, 0)]
    x = lax.pad(x, lax.full((), 0, x.dtype), padding)
    x = lax.reshape(x, (*lead, count, block, math.prod(sizes)))
    n = len(lead)
    return lax.transpose(x, (*range(n), n, n + 2, n + 1)), sizes

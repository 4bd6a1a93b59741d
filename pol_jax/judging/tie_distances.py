"""The operands of a decision are at a distance from a tie, element by element (section 14.2 of the protocol).

All operands have their executions as a first axis: one, unless they are in a loop or branch. A distance is infinite
where an element can't tie: it is not finite, or has nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

import numpy as np

from pol_jax.protocol.ties import (
    ExtremumTie,
    Observed,
    Operand,
    OrderTie,
    PairTie,
    Rounding,
    RoundingTie,
    Tie,
    WindowTie,
)

MOST_OFFSETS: Final = 4096
"""Ties are not looked for in windows of more elements than this."""


@dataclass(frozen=True)
class TieDistance:
    """A tie distance says how far one operand of a decision is from a tie.

    Attributes:
        operand: which.
        distance: of each element.
        crossing: 1 where an element must grow to turn the decision over, -1 where it must shrink.
        share: bounds of how many sites the distance is held against: a tie of two elements may be crossed by both.
        other: the operand whose bound is added, beside its own; None if that is a constant, or the same one.
    """

    operand: Observed
    distance: np.ndarray
    crossing: np.ndarray
    share: int = 1
    other: Observed | None = None


def tie_distances(tie: Tie, values: Callable[[Observed], np.ndarray]) -> Iterator[TieDistance]:
    """Yield the distances of each observed operand of a decision.

    Args:
        tie: the decision.
        values: gives the values of an operand: ``[executions, *shape]``.
    """
    with np.errstate(all="ignore"):
        match tie:
            case PairTie():
                yield from _of_pair(tie, values)
            case RoundingTie(operand=Observed() as operand):
                yield TieDistance(operand, *_of_rounding(_widened(values(operand)), tie.rounding))
            case ExtremumTie(operand=Observed() as operand):
                yield TieDistance(operand, *_of_extremum(_widened(values(operand)), tie.axes, tie.signs), share=2)
            case OrderTie(operand=Observed() as operand):
                yield TieDistance(operand, *_of_order(_widened(values(operand)), tie.axis + 1), share=2)
            case WindowTie(operand=Observed() as operand):
                yield TieDistance(operand, *_of_window(_widened(values(operand)), tie), share=2)


def _of_pair(tie: PairTie, values: Callable[[Observed], np.ndarray]) -> Iterator[TieDistance]:
    def array(operand: Operand) -> np.ndarray:
        return _widened(values(operand)) if isinstance(operand, Observed) else np.asarray(operand, np.float32)

    first, second = array(tie.first), array(tie.second)
    difference = _aligned(first, second.ndim) - _aligned(second, first.ndim)
    distance = np.where(np.isfinite(difference), np.abs(difference), np.inf)
    crossing = np.where(difference > 0, -1, 1).astype(np.int8)
    # What turns a decision over by growing in one operand does so by shrinking in the other.
    pairs = ((tie.first, tie.second, crossing, first), (tie.second, tie.first, -crossing, second))
    for operand, other, way, own in pairs:
        if isinstance(operand, Observed):
            beside = other if isinstance(other, Observed) else None
            if own.shape == distance.shape:
                yield TieDistance(operand, distance, way, other=beside)
            else:  # an operand of no axes beside one of some: the bounds of a clamp
                at = np.argmin(distance.reshape(len(distance), -1), axis=1)
                rows = np.arange(len(distance))
                gap, crosses = (each.reshape(len(distance), -1)[rows, at] for each in (distance, way))
                yield TieDistance(operand, gap.reshape(own.shape), crosses.reshape(own.shape), other=beside)


def _aligned(values: np.ndarray, rank: int) -> np.ndarray:
    """Return values with as many axes as they are compared with: the bounds of a clamp may be one number."""
    return values.reshape(*values.shape, *[1] * (rank - values.ndim)) if values.ndim else values


def _of_rounding(values: np.ndarray, rounding: Rounding) -> tuple[np.ndarray, np.ndarray]:
    match rounding:
        case Rounding.SIGN:
            tie = np.zeros_like(values)
        case Rounding.WHOLE:
            tie = np.rint(values)
        case Rounding.HALF:
            tie = np.floor(values) + values.dtype.type(0.5)
    distance = np.abs(values - tie)
    exact = 2.0 ** np.finfo(values.dtype).nmant  # beyond it, every number is whole
    jumps = np.isfinite(values) & ((np.abs(values) < exact) | (rounding is Rounding.SIGN))
    return np.where(jumps, distance, np.inf), np.where(values > tie, -1, 1).astype(np.int8)


def _of_extremum(values: np.ndarray, axes: Sequence[int], signs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    along = tuple(axis + 1 for axis in axes)
    kept = tuple(axis for axis in range(values.ndim) if axis not in along)
    # The reduced axes go last and become one, so that one pass finds the largest element of each reduction.
    order = (*kept, *along)
    moved = values.transpose(order)
    flat = moved.reshape(*(values.shape[axis] for axis in kept), -1)
    found = [_of_largest(sign * flat, sign) for sign in signs]
    back = np.argsort(order)
    distance, crossing = _nearest(found, flat)
    return distance.reshape(moved.shape).transpose(back), crossing.reshape(moved.shape).transpose(back)


def _of_largest(flat: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances from the largest element along the last axis; the largest one's own is from the second."""
    if flat.shape[-1] < 2:  # nothing beside it
        return np.full(flat.shape, np.inf, flat.dtype), np.ones(flat.shape, np.int8)
    ordered = np.partition(flat, flat.shape[-1] - 2, axis=-1)
    top, second = ordered[..., -1:], ordered[..., -2:-1]
    wins = flat == top
    distance = np.where(wins, top - second, top - flat)
    return _finite(distance), np.where(wins, -sign, sign).astype(np.int8)


def _of_order(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    # Only neighbours in order can change places: for every other pair, one in between would have to move first.
    places = np.argsort(values, axis=axis, kind="stable")
    ordered = np.take_along_axis(values, places, axis)
    gaps = _finite(np.diff(ordered, axis=axis))
    edge = [(0, 0)] * values.ndim
    edge[axis] = (1, 0)
    below = np.pad(gaps, edge, constant_values=np.inf)
    edge[axis] = (0, 1)
    above = np.pad(gaps, edge, constant_values=np.inf)
    distance, crossing = np.empty_like(values), np.empty(values.shape, np.int8)
    np.put_along_axis(distance, places, np.minimum(below, above), axis)
    np.put_along_axis(crossing, places, np.where(below < above, -1, 1).astype(np.int8), axis)
    return distance, crossing


def _of_window(values: np.ndarray, tie: WindowTie) -> tuple[np.ndarray, np.ndarray]:
    if prod(tie.shape) > MOST_OFFSETS:
        return np.full(values.shape, np.inf, values.dtype), np.ones(values.shape, np.int8)
    return _nearest([_of_window_largest(sign * values, tie, sign) for sign in tie.signs], values)


def _of_window_largest(values: np.ndarray, tie: WindowTie, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances from the largest element of any window that an element is in."""
    padding = [(max(low, 0), max(high, 0)) for low, high in tie.padding]
    padded = np.pad(values, [(0, 0), *padding], constant_values=-np.inf)
    distance, crossing = np.full(padded.shape, np.inf, values.dtype), np.ones(padded.shape, np.int8)
    counts = [
        (size - window) // stride + 1
        for size, window, stride in zip(padded.shape[1:], tie.shape, tie.strides, strict=True)
    ]
    if min(counts, default=1) < 1:
        return values + np.inf, np.ones(values.shape, np.int8)
    # One strided view for each place in a window, so that every window is looked at in one numpy operation.
    views = [
        (slice(None), *(slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offset, counts, tie.strides, strict=True)))
        for offset in product(*map(range, tie.shape))
    ]
    top = np.full((len(values), *counts), -np.inf, values.dtype)
    second = top.copy()
    for view in views:
        second = np.maximum(second, np.minimum(top, padded[view]))
        top = np.maximum(top, padded[view])
    for view in views:
        wins = padded[view] == top
        found = _finite(np.where(wins, top - second, top - padded[view]))
        nearer = found < distance[view]
        distance[view] = np.where(nearer, found, distance[view])
        crossing[view] = np.where(nearer, np.where(wins, -sign, sign), crossing[view])
    inside = tuple(slice(low, size - high) for (low, high), size in zip(padding, padded.shape[1:], strict=True))
    return distance[(slice(None), *inside)], crossing[(slice(None), *inside)]


def _nearest(found: Sequence[tuple[np.ndarray, np.ndarray]], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distance, crossing = np.full(values.shape, np.inf, values.dtype), np.ones(values.shape, np.int8)
    for each, way in found:
        # Before the distance is replaced: the direction is that of the nearer tie.
        crossing = np.where(each < distance, way, crossing)
        distance = np.minimum(each, distance)
    return distance, crossing


def _finite(distance: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(distance), distance, np.inf)


def _widened(values: np.ndarray) -> np.ndarray:
    """Return values in a dtype that numpy computes in, which has all of them."""
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)

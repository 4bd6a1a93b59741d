"""How far apart the results of one step are, leaf by leaf: numbers without a judgement.

All arithmetic is in doubles on the host. Norms are scaled: tiny and huge values turn neither into 0 nor into infinity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import ml_dtypes
import msgspec
import numpy as np
from jaxtyping import Bool, Float64

from pol_jax.protocol.trees import DTYPES, StateSpec

SAFETY: Final = 10.0
"""Tolerance over noise. A few compilations sample the distribution of rounding errors a few times; another backend is
one more draw from a wider one: another instruction set, other libraries. ``scripts/margins.py`` measures what is left
of it: the largest honest error over the noise."""

SMALL: Final = 1e-3
"""The largest tolerance that decides, as a share of the update. A forged step is off by about 1, a learning rate that
is wrong by a percent by 0.01: both are told apart with room to spare."""

FALSE: Final = 5.0
"""An error is false beyond so many limits. Between, it is no rounding that was seen here and no forgery that is known:
that is for a person to look at, and no refusal. The smallest forgery measured, a learning rate that is wrong by a
percent, is off by ten limits."""

COARSE: Final = 0.1
"""The same for leaves in dtypes of a few bits (`FINE_EPS`): one unit in the last place of bfloat16 is 0.8% of a value,
so no honest backend could be held to `SMALL`."""

FINE_EPS: Final = 1e-6
"""A dtype whose unit in the last place is below this share of a value is fine: float32 (1.2e-7) and wider."""

_CHUNK: Final = 2**20

Flat = Float64[np.ndarray, " n"]


class Distances(msgspec.Struct, frozen=True):
    """Euclidean distances between the results of one step, of a leaf or of all leaves.

    Attributes:
        update: between the committed states before and after.
        expected: between the committed state before and this machine's result.
        error: between the committed state after and this machine's result.
        noise: the largest between any two of this machine's results.
        tolerance: `SAFETY` times the noise, or times the floor where that is larger.
        limit: the largest tolerance and error that can pass: `SMALL` (or `COARSE`) times the larger of ``update`` and
            ``expected``, the **size**.
        reach: `SAFETY` times how far this machine's result moves where the state before is shaken; 0 if that was not
            tried.
        relative_error: error over size; 0 where both are 0.
        relative_tolerance: tolerance over size, likewise.
        clearance: update over noise; infinite where only the noise is 0, 0 where both are.
        infinitesimal: whether the size is not above the noise (or the floor): the update can't be told from rounding.
    """

    update: float
    expected: float
    error: float
    noise: float
    tolerance: float
    limit: float
    reach: float
    relative_error: float
    relative_tolerance: float
    clearance: float
    infinitesimal: bool


class Measured(msgspec.Struct, frozen=True):
    """What `Distances` are made from; kept apart, because those of all leaves are made from those of each.

    Attributes:
        update: as in `Distances`.
        expected: likewise.
        error: likewise.
        between: the distances between this machine's results, pair by pair.
        floor: one unit in the last place of the largest element: what a single element may always be off, whether or
            not a rounding happened to fall otherwise in the few compilations here.
        limit: as in `Distances`.
        shaken: distance between this machine's results from the state before and from a shaken one; infinite where the
            shaken one is lost.
    """

    update: float
    expected: float
    error: float
    between: tuple[float, ...]
    floor: float
    limit: float
    shaken: float = 0.0

    def distances(self) -> Distances:
        """With all that follows from them."""
        noise = max(self.between, default=0.0)
        least = max(noise, self.floor)
        size, tolerance = max(self.update, self.expected), SAFETY * least
        return Distances(
            update=self.update,
            expected=self.expected,
            error=self.error,
            noise=noise,
            tolerance=tolerance,
            limit=self.limit,
            reach=SAFETY * self.shaken,
            relative_error=_ratio(self.error, size),
            relative_tolerance=_ratio(tolerance, size),
            clearance=_ratio(self.update, noise),
            infinitesimal=size <= least,
        )


def is_floating(dtype: str) -> bool:
    """Whether values of a dtype are rounded: real or complex floating point."""
    return dtype.startswith(("float", "bfloat", "complex"))


def measure(
    dtype: str,
    before: np.ndarray,
    after: np.ndarray,
    reference: np.ndarray,
    others: Sequence[np.ndarray],
    shaken: np.ndarray | None = None,
) -> Measured:
    """Distances between the results of one leaf, over the elements that are finite in all of them.

    An element that is not finite before the step has no update, and counts as not updated.

    Args:
        dtype: the leaf's.
        before: the committed leaf before the step.
        after: the committed leaf after it.
        reference: this machine's result.
        others: its results under other compilations.
        shaken: its result from a shaken state; None if there is none.
    """
    committed, own = doubles(after), [doubles(leaf) for leaf in (reference, *others)]
    there = np.isfinite(committed) & np.logical_and.reduce([np.isfinite(leaf) for leaf in own])
    start = doubles(before)
    moved = there & np.isfinite(start)
    update, expected = _norm(committed, start, moved), _norm(own[0], start, moved)
    eps = float(ml_dtypes.finfo(DTYPES[dtype]).eps)  # type: ignore[no-untyped-call]
    return Measured(
        update=update,
        expected=expected,
        error=_norm(committed, own[0], there),
        between=tuple(_norm(a, b, there) for a, b in combinations(own, 2)),
        floor=eps * float(np.max(np.abs(own[0]), where=there, initial=0.0)),
        limit=(SMALL if eps < FINE_EPS else COARSE) * max(update, expected),
        shaken=0.0 if shaken is None else _reached(own[0], doubles(shaken), there),
    )


def apart(spec: StateSpec, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
    """Euclidean distance between two states, over the elements of all leaves that are finite in both."""
    found = 0.0
    for leaf, *pair in zip(spec, first, second, strict=True):
        for at in range(0, pair[0].size if is_floating(leaf.dtype) else 0, _CHUNK):  # no second copy in a wider type
            a, b = (doubles(np.ravel(array)[at : at + _CHUNK]) for array in pair)
            found = math.hypot(found, _norm(a, b, np.isfinite(a) & np.isfinite(b)))
    return found


def total(leaves: Sequence[Measured]) -> Measured:
    """Of all leaves as one vector; what each leaf may be off adds up in the same way."""
    return Measured(
        update=math.hypot(*(leaf.update for leaf in leaves)),
        expected=math.hypot(*(leaf.expected for leaf in leaves)),
        error=math.hypot(*(leaf.error for leaf in leaves)),
        between=tuple(math.hypot(*pair) for pair in zip(*(leaf.between for leaf in leaves), strict=True)),
        floor=math.hypot(*(leaf.floor for leaf in leaves)),
        limit=math.hypot(*(leaf.limit for leaf in leaves)),
        shaken=math.hypot(*(leaf.shaken for leaf in leaves)),
    )


def same_outside(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two leaves have the same NaNs and infinities at the same places."""
    first, second = (np.where(np.isfinite(x), 0.0, x) for x in (doubles(a), doubles(b)))
    return bool(np.array_equal(first, second, equal_nan=True))


def doubles(leaf: np.ndarray) -> Flat:
    """A floating-point leaf as one vector; a complex number is two elements of it."""
    flat = np.ravel(leaf)
    if np.iscomplexobj(flat):
        return flat.astype(np.complex128).view(np.float64)
    return flat.astype(np.float64)


def _norm(a: Flat, b: Flat, where: Bool[np.ndarray, " n"]) -> float:
    """Euclidean distance over some elements."""
    with np.errstate(over="ignore"):
        difference = np.abs(np.subtract(a, b, where=where, out=np.zeros_like(a)))
    largest = float(np.max(difference, initial=0.0))
    if largest == 0 or math.isinf(largest):
        return largest
    return largest * float(np.linalg.norm(difference / largest))


def _reached(own: Flat, shaken: Flat, where: Bool[np.ndarray, " n"]) -> float:
    """How far a shaken start leads; to a NaN or an infinity, as far as can be."""
    return _norm(own, shaken, where) if np.isfinite(shaken[where]).all() else math.inf


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.inf if part else 0.0

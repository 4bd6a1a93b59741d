"""States that are off by a little, from which a step is computed again (section 14.1 of the protocol).

Each way of being off shows something else: what rounding may turn over, how far errors grow, what last places decide.
No proof chooses a direction: all of them come from fixed seeds.
"""

from __future__ import annotations

import math
from typing import Final

import ml_dtypes
import numpy as np

from pol_jax.judging.leaf_distances import FAILURE_FACTOR, LIMIT_SHARE, PERTURBED_PLACES
from pol_jax.judging.leaf_numbers import finite_distance, is_floating
from pol_jax.protocol.trees import HostLeaves, LeafSpec, StateSpec

PERTURBATIONS: Final = ((0, 1), (0, -1), (1, 1), (1, -1))
"""Seeds and signs: each direction is tried both ways, since what turns over in one may stay in the other."""

NUDGES: Final = ((2, 1), (3, -1))
"""Seeds and signs of what shows whether last places decide: whatever reads them reads any that are off."""

_FINE: Final = ("float32", "float64")
"""These are the dtypes whose last places are far below any update."""

_DEEP: Final = (*_FINE, "complex64", "complex128")
"""These are the same, and those that are made of them."""


def take_back(moved: HostLeaves, start: HostLeaves, before: HostLeaves) -> list[np.ndarray]:
    """Return what is left of a perturbed start after the steps, when the perturbation itself is taken back.

    That is what the steps made of it: more than rounding only where something turned over.

    Args:
        moved: the state after the steps from ``start``.
        start: the perturbed state.
        before: the state that was perturbed.
    """
    return [
        # A leaf that was not perturbed is the same array, and keeps its dtype: it may hold integers.
        leaf if a is b else np.asarray(_in_doubles(leaf) - (_in_doubles(a) - _in_doubles(b)))
        for leaf, a, b in zip(moved, start, before, strict=True)
    ]


def _in_doubles(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.complex128 if np.iscomplexobj(leaf) else np.float64)


def perturb_last_places(spec: StateSpec, before: HostLeaves, seed: int, sign: int) -> list[np.ndarray]:
    """Return a state whose float32 and float64 are off by `PERTURBED_PLACES` last places, up or down.

    A step that takes the sign of a gradient, or compares, may turn over by that where no compilation here does. Zeros
    stay, since their last place is none.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    return [
        _perturb_leaf(leaf, draw, sign) if described.dtype in _FINE else leaf
        for described, leaf in zip(spec, before, strict=True)
    ]


def _perturb_leaf(leaf: np.ndarray, draw: np.random.Generator, sign: int) -> np.ndarray:
    units = sign * np.where(draw.random(leaf.shape) < 0.5, PERTURBED_PLACES, -PERTURBED_PLACES)
    return np.asarray(leaf + units.astype(leaf.dtype) * np.finfo(leaf.dtype).eps * leaf)


def nudge(spec: StateSpec, before: HostLeaves, seed: int, sign: int, places: int = 1) -> list[np.ndarray]:
    """Return a state whose rounded elements are off by last places, as a prover may choose within a tolerance.

    A program may read them one by one, or several together, so an element is off by 1 to ``places`` units, each by
    another power of two. In a type of a few bits it is one place: many of them are the number itself.

    Args:
        spec: of the states.
        before: the state.
        seed: of the direction.
        sign: 1, or -1 for the opposite direction.
        places: the largest number of units; 1 moves each element to the next one.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    return [
        _nudge_leaf(leaf, draw, sign, places if described.dtype in _DEEP else 1)
        if is_floating(described.dtype)
        else leaf
        for described, leaf in zip(spec, before, strict=True)
    ]


def _nudge_leaf(leaf: np.ndarray, draw: np.random.Generator, sign: int, places: int) -> np.ndarray:
    """Move each part of each number by units in the last place; zeros and what is not finite stay."""
    parts = np.atleast_1d(np.ascontiguousarray(leaf)).view(leaf.real.dtype if np.iscomplexobj(leaf) else leaf.dtype)
    bits = parts.view(f"u{parts.dtype.itemsize}")
    # Powers of two: a program that reads one bit of a number sees about every ninth element change in it.
    units = np.left_shift(1, draw.integers(0, places.bit_length(), parts.shape)).astype(bits.dtype)
    # Bits of a float, read as an integer, are in the order of its size: one more is the next number away from 0.
    up = (draw.random(parts.shape) < 0.5) == (sign > 0)
    moved = np.where(up, bits + units, bits - units).view(parts.dtype)
    # Zeros stay (section 14.1): the place next to 0 is a subnormal number, which no rounding gives.
    keeps = np.isfinite(parts) & np.isfinite(moved) & (parts != 0) & (np.sign(moved) == np.sign(parts))
    found: np.ndarray = np.where(keeps, moved, parts).view(leaf.dtype).reshape(leaf.shape)
    return found


def perturb_by_update(spec: StateSpec, before: HostLeaves, first: HostLeaves, seed: int, sign: int) -> list[np.ndarray]:
    """Return a state that is off by as much as the first step could be without failing.

    That is `FAILURE_FACTOR` limits of its update: an error of the first step may have this size, and grow.

    Args:
        spec: of the states.
        before: the state to perturb.
        first: the state after the first step; each leaf is perturbed in proportion to its first update.
        seed: of the direction.
        sign: 1, or -1 for the opposite direction.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    return [
        _move_leaf(leaf, sign * FAILURE_FACTOR * LIMIT_SHARE * finite_distance(leaf, moved), draw)
        if _is_real(described)
        else leaf
        for described, leaf, moved in zip(spec, before, first, strict=True)
    ]


def shake(spec: StateSpec, before: HostLeaves, reference: HostLeaves, seed: int, sign: int) -> list[np.ndarray]:
    """Return a state whose float32 and float64, zeros too, are off by a last place of the leaf's typical update.

    A gradient that is nearly 0 is the rest of larger terms: it has their rounding, whatever its own size. An optimizer
    that divides by the root of its square makes a whole step of it, up or down. A perturbation of an element by its own
    last places (`perturb_last_places`) doesn't show that, least of all for moments that are still 0.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    return [
        _shake_leaf(leaf, result, np.asarray(sign * np.where(draw.random(leaf.shape) < 0.5, 1.0, -1.0)))
        if described.dtype in _FINE and leaf.size
        else leaf
        for described, leaf, result in zip(spec, before, reference, strict=True)
    ]


def _shake_leaf(leaf: np.ndarray, result: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Move each element; no element changes its sign, and none becomes negative where there are no negative ones."""
    place = float(ml_dtypes.finfo(leaf.dtype).eps) * finite_distance(leaf, result) / math.sqrt(leaf.size)  # type: ignore[no-untyped-call]
    if not (place and math.isfinite(place)):
        return leaf
    wide, some_negative = leaf.astype(np.float64), bool((leaf < 0).any() or (result < 0).any())
    from_zero = signs if some_negative else np.maximum(signs, 0)
    moved = (wide + place * np.where(wide == 0, from_zero, signs)).astype(leaf.dtype)
    # A second moment that went below zero would make NaN of a root, which would excuse any error.
    return np.where((np.sign(moved) == np.sign(leaf)) | (leaf == 0), moved, leaf)


def _is_real(leaf: LeafSpec) -> bool:
    return is_floating(leaf.dtype) and not leaf.dtype.startswith("complex")


def _move_leaf(leaf: np.ndarray, distance: float, draw: np.random.Generator) -> np.ndarray:
    """Return a leaf at a distance, but for the elements that would change their sign.

    Adam takes the root of a mean of squares: below zero, it would give NaN and show nothing.
    """
    direction = draw.standard_normal(leaf.shape)
    norm = float(np.linalg.norm(direction.ravel()))
    if not (norm and np.isfinite(distance)):
        return leaf
    with np.errstate(all="ignore"):
        moved = (leaf.astype(np.float64) + direction * (distance / norm)).astype(leaf.dtype)
    return np.where(np.sign(moved) == np.sign(leaf), moved, leaf)

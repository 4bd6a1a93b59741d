"""Maxima and minima of many numbers are those of NumPy, in which a NaN wins, however large an array is."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from exact_laws import compiled
from jax import lax

SOURCE = np.random.default_rng(0)
SHAPES = [((7,), (0,)), ((128, 512), (1,)), ((9000, 3), (0,)), ((2, 4000), (0,)), ((2, 32, 32, 8), (1, 2, 3))]


def numbers(shape: tuple[int, ...], wrong: float) -> np.ndarray:
    """Numbers of both signs, with a zero, and one that is no number, or infinite."""
    found = SOURCE.normal(size=shape).astype(np.float32)
    found.flat[0], found.flat[found.size // 2 + 1] = 0, wrong
    return found


@pytest.mark.parametrize("wrong", [1.0, np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_the_largest_and_the_smallest_along_axes(shape: tuple[int, ...], axes: tuple[int, ...], wrong: float) -> None:
    def found(x: Any) -> Any:
        return lax.reduce_max(x, axes), lax.reduce_min(x, axes)

    x = numbers(shape, wrong)
    for got, expected in zip(compiled(found)(x), (np.max(x, axes), np.min(x, axes)), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_largest_and_the_smallest_in_windows(wrong: float) -> None:
    """Windows that don't overlap are axes to a compiler. One in which there is nothing has an infinity."""

    def found(x: Any) -> Any:
        window = (1, 100), (1, 100), [(0, 0), (100, 0)]
        return lax.reduce_window(x, -jnp.inf, lax.max, *window), lax.reduce_window(x, jnp.inf, lax.min, *window)

    x = numbers((20, 1000), wrong)
    parts = x.reshape(20, 10, 100)
    for got, expected, nothing in zip(compiled(found)(x), (parts.max(2), parts.min(2)), (-np.inf, np.inf), strict=True):
        np.testing.assert_array_equal(got, np.concatenate([np.full((20, 1), nothing), expected], 1))


def test_halves_and_integers_have_their_own_types() -> None:
    def found(x: Any) -> Any:
        return lax.reduce_max(x.astype(jnp.bfloat16), (0,)), lax.reduce_min(x.astype(np.int32), (0,))

    half, integer = compiled(found)(np.arange(-5, 5, dtype=np.float32))
    assert (half.dtype, float(half)) == (jnp.bfloat16, 4.0)
    assert (integer.dtype, int(integer)) == (np.int32, -5)


def test_the_largest_of_nothing_is_minus_infinity() -> None:
    def found(x: Any) -> Any:
        return lax.reduce_max(x, (1,)), lax.reduce_min(x, (1,))

    largest, smallest = compiled(found)(np.empty((2, 0), np.float32))
    assert largest.tolist() == [-np.inf] * 2
    assert smallest.tolist() == [np.inf] * 2

"""Tiny tasks in which rounding decides comparisons in every step, each by another operation.

Records and weights are multiples of numbers that have no finite binary form, so that many sums are zero but for
rounding. Addressable as ``kinked:convolutional`` where this directory can be imported from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task

RECORDS, SIDE, CHANNELS, CLASSES, BATCH, STEPS = 96, 8, 8, 4, 32, 6
FEATURES, WIDTH = 24, 64


def normalized(x: jax.Array, zero: float = 0.05) -> jax.Array:
    """Normalized over all axes but the last, and moved so that what was ``zero`` is 0, but for rounding."""
    along = tuple(range(x.ndim - 1))
    mean, scale = x.mean(along), jnp.sqrt(x.var(along) + 1e-5)
    return (x - mean) / scale - (zero - mean) / scale


def above(x: jax.Array) -> jax.Array:
    """Whether numbers are above 1/16, normalized: where they are equal to it, rounding decides.

    Processors with fused multiply-add subtract from a product before it is rounded, and others afterwards.
    """
    along = tuple(range(x.ndim - 1))
    mean, inverse = x.mean(along), 1 / jnp.sqrt(x.var(along) + 1e-5)
    # Not 0, with which XLA would compare the products themselves.
    return (x - mean) * inverse - (0.0625 - mean) * inverse > 2**-30


def in_levels(key: Key, shape: tuple[int, ...], levels: int = 30) -> jax.Array:
    """Numbers up to 0.3, in so many levels."""
    return (0.3 / levels) * jax.random.randint(key, shape, -levels, levels + 1).astype(jnp.float32)


def images() -> Arrays:
    """Noise in few levels, with a class that some of it decides. Their products and sums are exact."""
    draw = np.random.default_rng(5)
    x = draw.integers(-9, 10, (RECORDS, SIDE, SIDE, 2)) / 32
    return Arrays({"x": x.astype(np.float32), "y": (x.sum((1, 2, 3)) > 0).astype(np.int32)})


def convolutional(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Two convolutions with rectifiers and a maximum over windows, trained with momentum."""

    def init(key: Key) -> PyTree:
        first, second, last = jax.random.split(key, 3)
        params = {
            "first": jax.random.randint(first, (3, 3, 2, CHANNELS), -8, 9) / 64,
            "second": in_levels(second, (3, 3, CHANNELS, CHANNELS)),
            "last": in_levels(last, (CHANNELS * SIDE * SIDE // 4, CLASSES)),
        }
        return {"params": params, "momentum": jax.tree.map(jnp.zeros_like, params)}

    def loss_of(params: PyTree, batch: PyTree) -> jax.Array:
        convolve = partial(lax.conv_general_dilated, window_strides=(1, 1), padding="SAME")
        numbers = ("NHWC", "HWIO", "NHWC")
        x = convolve(batch["x"], params["first"], dimension_numbers=numbers)
        x = jnp.where(above(lax.stop_gradient(x)), normalized(x, 1 / 16), 0.0)
        x = jnp.maximum(normalized(convolve(x, params["second"], dimension_numbers=numbers)), 0.0)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        scores = jax.nn.log_softmax(x.reshape(len(x), -1) @ params["last"])
        return -jnp.mean(jnp.take_along_axis(scores, batch["y"][:, None], 1))

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        loss, gradient = jax.value_and_grad(loss_of)(state["params"], batch)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, state["momentum"], gradient)
        params = jax.tree.map(lambda p, m: p - 0.01 * m, state["params"], momentum)
        return {"params": params, "momentum": momentum}, {"loss": loss}

    return Task("convolutional", init, step, images(), BATCH, steps or STEPS, interval=3)


def rows() -> Arrays:
    """Rows of numbers in few levels."""
    draw = np.random.default_rng(6)
    x = draw.integers(-3, 4, (RECORDS, FEATURES)) * 0.1
    return Arrays({"x": x.astype(np.float32)})


def deciding(decide: Callable[[jax.Array], jax.Array]) -> Task:
    """A linear map, normalized, and behind it what jumps or has a kink: the mean of ``decide`` of it."""

    def init(key: Key) -> PyTree:
        return {"w": in_levels(key, (FEATURES, WIDTH), levels=3)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        def loss_of(w: jax.Array) -> jax.Array:
            return jnp.mean(decide(normalized(batch["x"] @ w)))

        loss, gradient = jax.value_and_grad(loss_of)(state["w"])
        return {"w": state["w"] - 0.1 * gradient}, {"loss": loss}

    return Task("deciding", init, step, rows(), BATCH, STEPS, interval=3)

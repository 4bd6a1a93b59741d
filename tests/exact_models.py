"""A step that has a bit of everything that trains: embedding, convolution, batch norm, pooling, dropout, momentum."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

CLASSES, WIDTH = 4, 4
KEY = np.array([5, 6], np.uint32)


def initial() -> Any:
    """Weights, and their momentum."""
    generator = np.random.Generator(np.random.PCG64(3))

    def drawn(*shape: int) -> np.ndarray:
        weights: np.ndarray = (generator.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)
        return weights

    weights = {
        "embedding": drawn(16, WIDTH),
        "kernel": drawn(3, 3, 1, WIDTH),
        "out": drawn(WIDTH, CLASSES),
    }
    return weights, jax.tree.map(np.zeros_like, weights)


def batch(index: int) -> dict[str, np.ndarray]:
    generator = np.random.Generator(np.random.PCG64(index))
    return {
        "image": generator.integers(0, 255, (8, 6, 6, 1)).astype(np.uint8),
        "text": generator.integers(0, 16, (8, 9)).astype(np.int32),
        "label": generator.integers(0, CLASSES, 8).astype(np.int32),
    }


def loss_of(weights: Any, given: Any, key: Any) -> Any:
    image = given["image"].astype(jnp.float32) / 255 - 0.5
    y = lax.conv_general_dilated(image, weights["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    centred = y - y.mean((0, 1, 2))
    y = centred * lax.rsqrt((centred**2).mean((0, 1, 2)) + 1e-5)
    y = lax.reduce_window(jax.nn.relu(y), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = y.reshape(8, 9, WIDTH) + weights["embedding"][given["text"]]
    x = jax.checkpoint(jnp.tanh)(x)
    x = jnp.where(jax.random.bernoulli(key, 0.9, x.shape), x / 0.9, 0)
    logits = x.mean(1) @ weights["out"]
    chosen = jnp.take_along_axis(logits, given["label"][:, None], 1)[:, 0]
    return (jnp.log(jnp.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1) - chosen).mean()


def step(state: Any, given: Any, key: Any) -> tuple[Any, Any]:
    weights, momentum = state
    typed = jax.random.wrap_key_data(key, impl="threefry2x32")
    loss, gradient = jax.value_and_grad(loss_of)(weights, given, typed)
    momentum = jax.tree.map(lambda v, g: 0.9 * v + g, momentum, gradient)
    weights = jax.tree.map(lambda w, v: w - 0.3 * v, weights, momentum)
    return (weights, momentum), {"loss": loss}


def shards() -> tuple[np.ndarray, np.ndarray]:
    """Values of which four devices have a part each: their sums depend on the order."""
    generator = np.random.Generator(np.random.PCG64(9))
    values = generator.standard_normal(4 * 8) * 10.0 ** generator.integers(-3, 4, 4 * 8)
    return values.astype(np.float32), np.arange(4, dtype=np.int32)[:, None]


def collectives_over(mesh: Any) -> Any:
    """A function of `shards` that has each collective, over the axis ``batch`` of a mesh."""

    def body(x: Any, count: Any) -> tuple[Any, ...]:
        half = x.astype(jnp.bfloat16)
        return (
            lax.psum(x, "batch"),
            lax.psum_scatter(x, "batch", tiled=True),
            lax.psum(half, "batch"),
            lax.pmax(x, "batch"),
            lax.pmin(x, "batch"),
            lax.ppermute(x, "batch", [(0, 1), (1, 2), (2, 3), (3, 0)]),
            lax.psum(count, "batch"),
        )

    cut, whole = jax.sharding.PartitionSpec("batch"), jax.sharding.PartitionSpec()
    specs = (whole, cut, whole, whole, whole, cut, whole)
    return jax.shard_map(body, mesh=mesh, in_specs=(cut, cut), out_specs=specs)


def digest(tree: Any) -> str:
    """A digest of all bits of a pytree."""
    content = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))
    return hashlib.sha256(content).hexdigest()[:16]

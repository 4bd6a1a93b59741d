"""The tasks that `scoreboard.py` attacks: a small network on digits, under three optimizers; and one of phases.

Addressable as ``attacked:sgd``, ``attacked:adam``, ``attacked:mixed`` and ``attacked:phases`` where this directory can
be imported from.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pol_jax
from pol_jax import Arrays, Task
from pol_jax.training.task import Key, PyTree

HIDDEN, BATCH, STEPS, INTERVAL, RECORDS = 16, 16, 240, 10, 720
"""45 steps an epoch: five segments, of which the paper's rule replays two."""


def digits() -> Arrays:
    """Return a part of scikit-learn's digits, as numbers of 0 to 1; the corner pixels are 0 in nearly all of them."""
    with np.load(Path(pol_jax.__file__).parent / "tasks" / "digits.npz") as stored:
        images, labels = stored["images"][:RECORDS], stored["labels"][:RECORDS]
    return Arrays({"image": images.reshape(len(images), 64).astype(np.float32) / 16, "label": labels.astype(np.int32)})


def parameters(key: Key) -> PyTree:
    """Return the weights of two layers, without biases, so that every leaf is drawn at random."""
    first, second = jax.random.split(key)
    return {
        "first": jax.random.normal(first, (64, HIDDEN)) / 8,
        "second": jax.random.normal(second, (HIDDEN, 10)) / 4,
    }


def loss_of(params: PyTree, batch: PyTree) -> jax.Array:
    """Return the mean cross-entropy of a batch."""
    logits = jax.nn.relu(batch["image"] @ params["first"]) @ params["second"]
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))


def phases(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return a task whose words have complex amplitudes, at first without an imaginary part, and phases as features."""
    draw = np.random.default_rng(0)
    words = {"word": draw.integers(0, 8, RECORDS, np.int32), "label": draw.integers(0, 4, RECORDS, np.int32)}

    def init(key: Key) -> PyTree:
        first, second = jax.random.split(key)
        real = jax.random.normal(first, (8, 16))
        return {
            "params": {"amplitude": jnp.stack([real, jnp.zeros_like(real)]), "weight": parameters(second)["second"]}
        }

    def phase_loss(params: PyTree, batch: PyTree) -> jax.Array:
        real, imaginary = params["amplitude"][:, batch["word"]]
        logits = jnp.arctan2(imaginary, real) @ params["weight"]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(phase_loss)(state["params"], batch)
        return {"params": jax.tree.map(lambda a, b: a - 0.05 * b, state["params"], gradient)}, {"loss": loss}

    return Task("attacked by phases", init, step, Arrays(words), BATCH, steps or STEPS, INTERVAL)


def sgd(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return a task whose whole state is its parameters."""

    def init(key: Key) -> PyTree:
        return {"params": parameters(key)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(loss_of)(state["params"], batch)
        return {"params": jax.tree.map(lambda a, b: a - 0.1 * b, state["params"], gradient)}, {"loss": loss}

    return Task("attacked by sgd", init, step, digits(), BATCH, steps or STEPS, INTERVAL)


def adam(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return a task with moments and a counter; the moments of weights of dead pixels stay 0."""
    optimizer = optax.adam(2e-3)

    def init(key: Key) -> PyTree:
        params = parameters(key)
        return {"params": params, "optimizer": optimizer.init(params)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(loss_of)(state["params"], batch)
        update, moments = optimizer.update(gradient, state["optimizer"], state["params"])
        return {"params": optax.apply_updates(state["params"], update), "optimizer": moments}, {"loss": loss}

    return Task("attacked by adam", init, step, digits(), BATCH, steps or STEPS, INTERVAL)


def mixed(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return a task with a momentum in bfloat16 and a count of examples."""

    def init(key: Key) -> PyTree:
        params = parameters(key)
        momentum = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.bfloat16), params)
        return {"params": params, "trace": momentum, "examples": jnp.int32(0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(loss_of)(state["params"], batch)
        momentum = jax.tree.map(
            lambda a, b: (0.9 * a.astype(jnp.float32) + b).astype(jnp.bfloat16), state["trace"], gradient
        )
        params = jax.tree.map(lambda a, b: a - 0.02 * b.astype(jnp.float32), state["params"], momentum)
        return {"params": params, "trace": momentum, "examples": state["examples"] + BATCH}, {"loss": loss}

    return Task("attacked with momentum", init, step, digits(), BATCH, steps or STEPS, INTERVAL)

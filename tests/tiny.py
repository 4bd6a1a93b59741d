"""Tasks so small that a test may train them: no convolution, milliseconds a step.

Addressable as ``tiny:plain``, ``tiny:linen`` and ``tiny:nested`` where this directory can be imported from. Their
functions are those of the module, so that `once.export_once` knows them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task

RECORDS, FEATURES, CLASSES, BATCH = 40, 16, 3, 4
STEPS, INTERVAL = 24, 6
NONCE = b"a nonce of tests"


def points(records: int = RECORDS, seed: int = 1) -> dict[str, np.ndarray]:
    """Clouds of points, one for each class."""
    draw = np.random.default_rng(seed)
    label = np.arange(records, dtype=np.int32) % CLASSES
    return {"label": label, "x": (draw.normal(size=(records, FEATURES)) + 2 * label[:, None]).astype(np.float32)}


def _plain_init(key: Key) -> PyTree:
    weights = 0.1 * jax.random.normal(key, (FEATURES, CLASSES))
    return {
        "params": {"w": weights, "b": jnp.zeros(CLASSES)},
        "momentum": jnp.zeros((FEATURES, CLASSES), jnp.bfloat16),
        "count": jnp.int32(0),
        "key": jax.random.fold_in(key, 1),
        "nothing": jnp.zeros((0, 3)),
    }


def _plain_step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
    own, rest = jax.random.split(state["key"])
    noise = 0.1 * jax.random.normal(key, batch["x"].shape) + 0.1 * jax.random.normal(own, batch["x"].shape)

    def loss_of(params: PyTree) -> jax.Array:
        logits = (batch["x"] + noise) @ params["w"] + params["b"][None]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))

    loss, gradient = jax.value_and_grad(loss_of)(state["params"])
    momentum = (0.9 * state["momentum"].astype(jnp.float32) + gradient["w"]).astype(jnp.bfloat16)
    params = {
        "w": state["params"]["w"] - 0.1 * momentum.astype(jnp.float32),
        "b": state["params"]["b"] - 0.1 * gradient["b"],
    }
    new = {**state, "params": params, "momentum": momentum, "count": state["count"] + 1, "key": rest}
    return new, {"loss": loss, "norm": jnp.linalg.norm(gradient["w"])}


def plain(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """A softmax with momentum and noisy inputs, whose state is a dict with a leaf of every kind.

    An int counter (0-d), a bfloat16 leaf, a typed PRNG key, an empty leaf; the inputs' noise is from the step's key.
    """
    return Task(
        name="tiny plain",
        init=_plain_init,
        step=_plain_step,
        source=Arrays(points()),
        batch_size=BATCH,
        steps=steps or STEPS,
        interval=INTERVAL,
        hyperparameters={"optimizer": "momentum", "learning_rate": 0.1, "nesterov": False, "layers": 1},
    )


class MLP(nn.Module):
    """Two layers with dropout between them."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits."""
        return nn.Dense(CLASSES)(nn.Dropout(0.2, deterministic=False)(nn.relu(nn.Dense(8)(x))))


class LinenState(NamedTuple):
    """What a step changes."""

    params: PyTree
    optimizer: optax.OptState


_MODEL, _OPTIMIZER = MLP(), optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))


def _linen_init(key: Key) -> LinenState:
    params = _MODEL.init({"params": key, "dropout": key}, jnp.zeros((1, FEATURES)))["params"]
    return LinenState(params, _OPTIMIZER.init(params))


def _linen_step(state: LinenState, batch: PyTree, key: Key) -> tuple[LinenState, dict[str, jax.Array]]:
    def loss_of(params: PyTree) -> jax.Array:
        logits = _MODEL.apply({"params": params}, batch["x"], rngs={"dropout": key})
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    updates, optimizer_state = _OPTIMIZER.update(gradient, state.optimizer, state.params)
    return LinenState(optax.apply_updates(state.params, updates), optimizer_state), {"loss": loss}


def linen(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """A Flax Linen module trained by Optax; optimizer state has named tuples, one of them empty."""
    return Task("tiny linen", _linen_init, _linen_step, Arrays(points()), BATCH, steps or STEPS, INTERVAL)


class Pairs:
    """Records that are pytrees: a dict with a tuple in it, of several dtypes, read one by one."""

    def __init__(self) -> None:
        """Hold a few."""
        self._points = points()

    def __len__(self) -> int:
        """Number of records."""
        return RECORDS

    def __getitem__(self, index: int) -> Any:
        """Record ``index``."""
        x = self._points["x"][index]
        return {"views": (x, x[::-1].astype(np.float16)), "meta": {"id": np.int64(index), "even": index % 2 == 0}}


def _nested_init(key: Key) -> jax.Array:
    return 0.1 * jax.random.normal(key, (FEATURES, FEATURES))


def _nested_step(state: jax.Array, batch: PyTree, key: Key) -> tuple[jax.Array, dict[str, jax.Array]]:
    (x, y), meta = batch["views"], batch["meta"]
    weight = jnp.where(meta["even"], 1.0, 0.5) + 0.0 * meta["id"]
    keep = jax.random.bernoulli(key, 0.9, x.shape)

    def loss_of(matrix: jax.Array) -> jax.Array:
        errors = jnp.square((x * keep) @ matrix - y.astype(jnp.float32))
        return jnp.mean(errors * weight[:, None])

    loss, gradient = jax.value_and_grad(loss_of)(state)
    return state - 0.01 * gradient, {"loss": loss}


def nested(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Fits one view of a record to the other; the state is one bare array."""
    return Task("tiny nested", _nested_init, _nested_step, Pairs(), BATCH, steps or STEPS, INTERVAL)

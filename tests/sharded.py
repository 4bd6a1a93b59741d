"""A tiny network on several devices: what processes of a pod run, and how tests start them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, PartitionSpec

import pol_jax
from pol_jax.proving.sharding import Shardings
from pol_jax.training.task import Key, PyTree

STEPS: Final = 8
INTERVAL: Final = 4
_RECORDS: Final = 64
_FEATURES: Final = 16


def records() -> pol_jax.Arrays:
    """Points of two classes."""
    drawn = np.random.default_rng(0).standard_normal((_RECORDS, _FEATURES)).astype(np.float32)
    return pol_jax.Arrays({"x": drawn, "label": (drawn.sum(1) > 0).astype(np.int32)})


def task(
    data_dir: Path | None = None, steps: int | None = None, arithmetic: Literal["exact"] | None = None
) -> pol_jax.Task:
    """Two layers with dropout, trained by Adam; the state has typed keys, several in one array."""
    optimizer = optax.adam(1e-2)

    def init(key: Key) -> dict[str, PyTree]:
        first, second, rest = jax.random.split(key, 3)
        params = {
            "w1": 0.2 * jax.random.normal(first, (_FEATURES, 32)),
            "w2": 0.2 * jax.random.normal(second, (32, 2)),
            "b": jnp.zeros((2,)),
        }
        return {"params": params, "optimizer": optimizer.init(params), "keys": jax.random.split(rest, 2)}

    def step(state: dict[str, PyTree], batch: PyTree, key: Key) -> tuple[dict[str, PyTree], dict[str, jax.Array]]:
        def loss_of(params: dict[str, jax.Array]) -> jax.Array:
            hidden = jax.nn.relu(batch["x"] @ params["w1"])
            kept = jnp.where(jax.random.bernoulli(key, 0.9, hidden.shape), hidden / 0.9, 0)
            logits = kept @ params["w2"] + params["b"]
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

        loss, gradient = jax.value_and_grad(loss_of)(state["params"])
        updates, moments = optimizer.update(gradient, state["optimizer"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "optimizer": moments, "keys": state["keys"]}, {"loss": loss}

    return pol_jax.Task("sharded", init, step, records(), 8, steps or STEPS, INTERVAL, arithmetic=arithmetic)


def mesh(data: int = 2, model: int = 2) -> jax.sharding.Mesh:
    """A mesh of so many devices."""
    devices = jax.devices()[: data * model]
    return jax.make_mesh((data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def shardings(of: pol_jax.Task) -> Shardings:
    """Matrices are cut along both axes, keys among the rows of the mesh, and everything else is whole."""

    def cut(path: Any, leaf: jax.Array) -> PartitionSpec:
        if leaf.ndim == 2:
            return PartitionSpec("data", "model")
        return PartitionSpec("data") if "keys" in jax.tree_util.keystr(path) else PartitionSpec()

    state = jax.eval_shape(of.init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(cut, state), PartitionSpec("data")

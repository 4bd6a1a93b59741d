"""Honest tasks in which rounding decides a comparison, as the command line finds them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.training.records import Arrays
from pol_jax.training.task import Task

RECORDS, FEATURES, STEPS = 64, 8, 12


def records() -> Arrays:
    draw = np.random.default_rng(3)
    x = draw.normal(size=(RECORDS, FEATURES)).astype(np.float32)
    y = x @ draw.normal(size=FEATURES) + 0.1 * draw.normal(size=RECORDS)
    return Arrays({"x": x, "y": y.astype(np.float32)})


def loss_of(weights: jax.Array, batch: Any) -> jax.Array:
    return jnp.mean((batch["x"] @ weights - batch["y"]) ** 2)


def bold(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """The rate is halved when the loss does not fall, which rounding decides near the minimum."""

    def init(key: Any) -> Any:
        return {"w": jnp.zeros(FEATURES), "rate": jnp.float32(0.3), "last": jnp.float32(1e9)}

    def step(state: Any, batch: Any, key: Any) -> Any:
        loss, gradient = jax.value_and_grad(loss_of)(state["w"], batch)
        rate = jnp.where(loss < state["last"], state["rate"], state["rate"] * 0.5)
        return {"w": state["w"] - rate * gradient, "rate": rate, "last": loss}, {"loss": loss}

    return Task("bold", init, step, records(), RECORDS, STEPS)

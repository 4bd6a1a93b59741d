"""A task whose state and records have 64-bit types, and the command that trains it where jax has them enabled."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task


def task() -> Task:
    """Return a linear model in float64 with records of int64 and float64, whose values need them."""
    number = np.arange(12)

    def init(key: Key) -> PyTree:
        return {"count": jnp.int64(2**40), "w": jax.random.normal(key, (3,), jnp.float64)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        def loss_of(w: jax.Array) -> jax.Array:
            return jnp.mean(jnp.square(batch["x"] @ w - (batch["y"] - 2**40)))

        loss, gradient = jax.value_and_grad(loss_of)(state["w"])
        return {"count": state["count"] + 1, "w": state["w"] - 0.1 * gradient}, {"loss": loss.astype(jnp.float32)}

    source = Arrays({"x": np.sin(np.outer(number + 1, [1.0, 2.0, 3.0])), "y": 2**40 + number % 3})
    return Task("wide", init, step, source, batch_size=2, steps=4, interval=2)


if __name__ == "__main__":
    import sys

    import pol_jax

    proof = pol_jax.train(task(), Path(sys.argv[1]))
    pol_jax.write_opening(Path(sys.argv[2]), pol_jax.open_steps(proof, task().source, [2]))

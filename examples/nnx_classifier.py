"""A classifier in Flax NNX, as its tutorials train one: objects that change in place, batch norm and dropout."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import pol_jax


class Model(nnx.Module):
    """Two layers with batch norm and dropout."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(8, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.last = nnx.Linear(32, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> Any:
        """Return the logits."""
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


def build(rngs: nnx.Rngs) -> tuple[Any, ...]:
    """Return the objects that a training changes."""
    model = Model(rngs)
    return model, nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)


def train_step(model: Any, optimizer: Any, batch: Any) -> dict[str, jax.Array]:
    """Change the objects by one step."""

    def loss_of(model: Any) -> tuple[jax.Array, jax.Array]:
        logits = model(batch["x"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, jnp.mean(logits.argmax(-1) == batch["label"])

    (loss, accuracy), gradient = nnx.value_and_grad(loss_of, has_aux=True)(model)
    optimizer.update(model, gradient)
    return {"loss": loss, "accuracy": accuracy}


def points() -> dict[str, np.ndarray]:
    """Return clouds of points, one for each class."""
    label = np.arange(240, dtype=np.int32) % 3
    noise = np.random.default_rng(0).normal(size=(240, 8))
    return {"x": (noise + label[:, None]).astype(np.float32), "label": label}


DATA = points()


init, step = pol_jax.from_nnx(build, train_step)
task = pol_jax.Task("nnx classifier", init, step, pol_jax.Arrays(DATA), batch_size=16, steps=60)


def train(out: str) -> list[float]:
    """Train, and return the losses."""
    losses: list[float] = []
    pol_jax.train(task, out, on_step=lambda _, metrics: losses.append(metrics["loss"]))
    return losses

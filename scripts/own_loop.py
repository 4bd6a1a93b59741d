"""Record a proof from a training loop of your own: the comments mark what changes in a usual Flax and Optax loop.

    python scripts/own_loop.py --out proof
    pol verify proof --task own_loop:task     # from this folder

Stop it at any moment and start it again: it continues where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import pol_jax

STEPS = 300


class Model(nn.Module):
    """The model has two dense layers with dropout between them."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Return logits of images, ``[batch, 64] -> [batch, 10]``."""
        hidden = nn.relu(nn.Dense(64)(images))
        return nn.Dense(10)(nn.Dropout(0.1, deterministic=False)(hidden))


model, optimizer = Model(), optax.adam(3e-3)


def init(key: jax.Array) -> dict[str, Any]:
    """Make the usual initial state."""
    params = model.init({"params": key, "dropout": key}, jnp.zeros((1, 64)))["params"]
    return {"params": params, "optimizer": optimizer.init(params)}


def train_step(
    state: dict[str, Any], batch: dict[str, jax.Array], key: jax.Array
) -> tuple[dict[str, Any], dict[str, jax.Array]]:
    """Take the usual step; its randomness comes from ``key``."""

    def loss_of(params: Any) -> jax.Array:
        logits = model.apply({"params": params}, batch["image"], rngs={"dropout": key})
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))

    loss, gradient = jax.value_and_grad(loss_of)(state["params"])
    updates, moments = optimizer.update(gradient, state["optimizer"], state["params"])
    return {"params": optax.apply_updates(state["params"], updates), "optimizer": moments}, {"loss": loss}


digits = load_digits()
records = {"image": (digits.data / 16).astype(np.float32), "label": digits.target.astype(np.int32)}
task = pol_jax.Task("own loop", init, train_step, pol_jax.Arrays(records), batch_size=32, steps=STEPS)  # new


def main() -> None:
    """Train, and record the proof."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("proof"))
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    with pol_jax.Recording(task, options.out, steps=options.steps) as recording:  # new
        state = recording.state  # was: init(key)
        for inputs in recording:  # was: for batch in loader
            state, metrics = recording.step(state, inputs)  # was: train_step(state, batch, key)
            if inputs.step % 100 == 0:
                print(f"step {inputs.step}: loss {metrics['loss']:.4f}")


if __name__ == "__main__":
    main()

"""A classifier in Keras on JAX, trained as Keras' guide to loops of one's own in JAX does it."""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

SEEDS = keras.random.SeedGenerator(0)
WEIGHTS = keras.initializers.HeNormal(SEEDS)
MODEL = keras.Sequential(
    [
        keras.Input((8,)),
        keras.layers.Dense(32, kernel_initializer=WEIGHTS),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dropout(0.1, seed=1),
        keras.layers.Dense(3, kernel_initializer=WEIGHTS),
    ]
)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
OPTIMIZER = keras.optimizers.Adam(1e-2)
OPTIMIZER.build(MODEL.trainable_variables)


def create(key: jax.Array) -> Any:
    """Return all variables of model and optimizer; random ones are drawn from the key."""
    with keras.StatelessScope(state_mapping=[(SEEDS.state, jax.random.key_data(key))]):
        trainable = [
            WEIGHTS(variable.shape) if variable.name == "kernel" else variable.value
            for variable in MODEL.trainable_variables
        ]
    return trainable, [v.value for v in MODEL.non_trainable_variables], [v.value for v in OPTIMIZER.variables]


def loss_of(trainable: Any, others: Any, batch: Any) -> tuple[jax.Array, Any]:
    """Return the loss, and the new values of the variables that are not trained."""
    logits, others = MODEL.stateless_call(trainable, others, batch["x"], training=True)
    return LOSS(batch["label"], logits), others


def train_step(state: Any, batch: Any) -> tuple[Any, dict[str, jax.Array]]:
    """Return the state after one step."""
    trainable, others, optimizer = state
    (loss, others), gradient = jax.value_and_grad(loss_of, has_aux=True)(trainable, others, batch)
    trainable, optimizer = OPTIMIZER.stateless_apply(optimizer, gradient, trainable)
    return (trainable, others, optimizer), {"loss": loss}


def points() -> dict[str, np.ndarray]:
    """Return clouds of points, one for each class."""
    label = np.arange(240, dtype=np.int32) % 3
    noise = np.random.default_rng(0).normal(size=(240, 8))
    return {"x": (noise + label[:, None]).astype(np.float32), "label": label}


DATA = points()


def train(steps: int = 60) -> list[float]:
    """Train, and return the losses."""
    losses: list[float] = []
    step, state = jax.jit(train_step), create(jax.random.key(0))
    for chosen in np.random.default_rng(1).integers(0, 240, (steps, 16)):
        state, metrics = step(state, {name: leaf[chosen] for name, leaf in DATA.items()})
        losses.append(float(metrics["loss"]))
    return losses

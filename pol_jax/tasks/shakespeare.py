"""This task trains a small transformer that predicts the next character of Shakespeare's plays.

Characters are the bytes of the text, so that no vocabulary is needed. The validation loss is about 2.1 nats after 200
steps.
Data: A. Karpathy, tiny Shakespeare (github.com/karpathy/char-rnn), from a TFDS data directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, UInt8

from pol_jax.tasks.tfds import data_source
from pol_jax.tasks.transformer import Transformer
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task

BATCH_SIZE = 32
STEPS = 1000
CONTEXT = 64
BYTES = 256
LAYERS, WIDTH, HEADS = 2, 128, 4
DROPOUT = 0.1
LEARNING_RATE, WARM_UP, LAST = 3e-3, 20, 0.1
WEIGHT_DECAY = 0.1
VALIDATION_WINDOWS = 512

HYPERPARAMETERS: Final[Mapping[str, str | int | float | bool]] = {
    "model": "pre-norm transformer on bytes",
    "layers": LAYERS,
    "width": WIDTH,
    "heads": HEADS,
    "context": CONTEXT,
    "dropout": DROPOUT,
    "optimizer": "adamw",
    "weight_decay": WEIGHT_DECAY,
    "learning_rate": LEARNING_RATE,
    "schedule": f"linear over {WARM_UP} steps, then cosine to {LAST:.0%}",
}
"""The commitment says these about the task, for its readers."""


class State(NamedTuple):
    """The state is everything that a step changes."""

    params: PyTree
    optimizer: optax.OptState


def shakespeare(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return the task.

    Args:
        data_dir: a TFDS data directory with ``tiny_shakespeare`` in array_record files.
        steps: number of steps, which the learning rate depends on.

    Raises:
        UsageError: the data set is not in ``data_dir``.
    """
    steps = STEPS if steps is None else steps
    train, validation = (windows(text_of(split, data_dir)) for split in ("train", "validation"))
    optimizer = optax.adamw(schedule(steps), weight_decay=WEIGHT_DECAY)
    graph = nnx.graphdef(nnx.eval_shape(lambda: build(nnx.Rngs(0))))

    def init(key: Key) -> State:
        params = nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key))))
        return State(params, optimizer.init(params))

    def loss_of(
        params: PyTree, text: UInt8[Array, "batch time"], key: Key | None
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        before, after = text[:, :-1].astype(jnp.int32), text[:, 1:].astype(jnp.int32)
        logits = nnx.merge(graph, params)(before, None if key is None else nnx.Rngs(key))
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, after).mean()
        # Metrics are float32 scalars, which the ledger keeps bit for bit (protocol.md, section 5).
        return loss, jnp.mean(logits.argmax(-1) == after, dtype=jnp.float32)

    def step(state: State, batch: PyTree, key: Key) -> tuple[State, dict[str, Array]]:
        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, accuracy), gradient = gradient_of(state.params, batch["text"], key)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, optimizer_state), {"loss": loss, "accuracy": accuracy}

    def evaluate(state: State) -> dict[str, float]:
        batch = validation.records_at(np.arange(min(len(validation), VALIDATION_WINDOWS)))
        loss, accuracy = jax.jit(loss_of)(state.params, batch["text"], None)
        return {"validation loss": float(loss), "validation accuracy": float(accuracy)}

    return Task(
        name="shakespeare",
        init=init,
        step=step,
        source=train,
        batch_size=BATCH_SIZE,
        steps=steps,
        hyperparameters=HYPERPARAMETERS,
        evaluate=evaluate,
    )


def build(rngs: nnx.Rngs) -> Transformer:
    """Return the network, with initial weights drawn from ``rngs``."""
    return Transformer(BYTES, LAYERS, WIDTH, HEADS, DROPOUT, rngs=rngs)


def schedule(steps: int) -> optax.Schedule:
    """Return the learning rate, which rises linearly over `WARM_UP` steps, and then falls in a cosine to `LAST` of it.

    In a short training it rises over a tenth of the steps. It is never 0: a step that changes nothing proves nothing.
    """
    rise = max(1, min(WARM_UP, steps // 10))
    return optax.warmup_cosine_decay_schedule(
        LEARNING_RATE / (rise + 1), LEARNING_RATE, rise, max(steps, rise + 1), end_value=LAST * LEARNING_RATE
    )


def text_of(split: str, data_dir: Path | None) -> UInt8[np.ndarray, " characters"]:
    """Return the text of a split, with one byte for each character."""
    return np.frombuffer(data_source("tiny_shakespeare", split, data_dir)[0]["text"], np.uint8)


def windows(text: UInt8[np.ndarray, " characters"]) -> Arrays:
    """Return records ``{"text": uint8[CONTEXT + 1]}``, each of which begins with the last character of the one before.

    Therefore every character but the first is predicted once in an epoch. Nothing is copied until a batch is taken.
    """
    return Arrays({"text": np.lib.stride_tricks.sliding_window_view(text, CONTEXT + 1)[::CONTEXT]})

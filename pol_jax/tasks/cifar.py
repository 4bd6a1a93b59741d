"""This task trains a residual network on CIFAR; `cifar10` and `cifar100` are two of its kind.

The recipe is that of He et al. (arXiv:1512.03385, section 4.2): SGD with momentum, L2 regularisation added to the
gradient, a learning rate that is divided by 10 after 1/2 and 3/4 of the steps, random crops of the image padded by 4
pixels, and random flips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from pol_jax.tasks.tfds import LabelledImages
from pol_jax.training.records import Cached
from pol_jax.training.task import Key, PyTree, Task

BATCH_SIZE = 128
LEARNING_RATE = 0.1
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
PAD = 4
EVALUATION_BATCH = 500

HYPERPARAMETERS: Final[Mapping[str, str | int | float | bool]] = {
    "optimizer": "sgd",
    "momentum": MOMENTUM,
    "weight_decay": WEIGHT_DECAY,
    "learning_rate": LEARNING_RATE,
    "schedule": "times 0.1 after 1/2 and 3/4 of the steps",
    "augmentation": f"crop with {PAD} pixels of padding, flip",
}
"""The commitment says these about the task, for its readers."""

Pixels = UInt8[Array, "batch 32 32 3"]


class State(NamedTuple):
    """The state is everything that a step changes."""

    params: PyTree
    batch_stats: PyTree
    optimizer: optax.OptState


class Normalization(NamedTuple):
    """A normalization holds mean and standard deviation of each channel of the training images, with pixels 0 to 1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def cifar(
    name: str,
    build: Callable[[nnx.Rngs], nnx.Module],
    normalization: Normalization,
    steps: int,
    data_dir: Path | None,
) -> Task:
    """Return the task of training the network that ``build`` makes on the TFDS data set ``name``.

    Args:
        name: ``"cifar10"`` or ``"cifar100"``.
        build: the network, with its initial weights drawn from the given streams.
        normalization: mean and standard deviation of the images.
        steps: number of steps of the training, which the learning rate depends on.
        data_dir: a TFDS data directory.

    Raises:
        UsageError: the data set is not in ``data_dir``.
    """
    train, test = (Cached(LabelledImages(name, split, data_dir)) for split in ("train", "test"))
    optimizer = sgd(schedule(steps))
    graph = nnx.graphdef(nnx.eval_shape(lambda: build(nnx.Rngs(0))))

    def init(key: Key) -> State:
        model = build(nnx.Rngs(key))
        params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
        return State(params, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)), optimizer.init(params))

    def loss_of(
        params: PyTree, batch_stats: PyTree, image: Pixels, label: Int[Array, " batch"]
    ) -> tuple[Float[Array, ""], tuple[Float[Array, ""], PyTree]]:
        # A copy: inside of a gradient, BatchNorm may write its averages only to variables that were made there.
        model = nnx.merge(graph, params, batch_stats, copy=True)
        logits = model(normalized(image, normalization), train=True)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
        accuracy = jnp.mean(logits.argmax(-1) == label, dtype=jnp.float32)
        return loss, (accuracy, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

    def step(state: State, batch: PyTree, key: Key) -> tuple[State, dict[str, Array]]:
        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        # Part of the step, under its key: records stay as committed, and a replay has the same crops.
        image = augmented(batch["image"], key)
        (loss, (accuracy, batch_stats)), gradient = gradient_of(state.params, state.batch_stats, image, batch["label"])
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, batch_stats, optimizer_state), {"loss": loss, "accuracy": accuracy}

    return Task(
        name=name,
        init=init,
        step=step,
        source=train,
        batch_size=BATCH_SIZE,
        steps=steps,
        hyperparameters=HYPERPARAMETERS,
        evaluate=evaluator(test, graph, normalization),
    )


def evaluator(test: Cached, graph: Any, normalization: Normalization) -> Callable[[State], dict[str, float]]:
    """Return the function that finds which share of the test images a state recognises.

    Args:
        test: the records of the test.
        graph: the network without its weights, as ``nnx.graphdef`` returns it.
        normalization: mean and standard deviation of the images.
    """

    def correct(state: State, batch: PyTree) -> Int[Array, ""]:
        model = nnx.merge(graph, state.params, state.batch_stats, copy=True)
        logits = model(normalized(batch["image"], normalization), train=False)
        return jnp.sum(logits.argmax(-1) == batch["label"])

    def evaluate(state: State) -> dict[str, float]:
        batches = np.array_split(np.arange(len(test)), max(1, len(test) // EVALUATION_BATCH))
        found = sum(int(jax.jit(correct)(state, test.records_at(indices))) for indices in batches)
        return {"test accuracy": found / len(test)}

    return evaluate


def schedule(steps: int) -> optax.Schedule:
    """Return the learning rate, which is divided by 10 after 1/2 of the steps (32k of 64k), and after 3/4 (48k)."""
    return optax.piecewise_constant_schedule(LEARNING_RATE, {steps // 2: 0.1, steps * 3 // 4: 0.1})


def sgd(learning_rate: optax.Schedule) -> optax.GradientTransformation:
    """Return SGD with momentum and weight decay: ``v = 0.9 v + (g + 1e-4 w); w = w - learning_rate v``."""
    return optax.chain(optax.add_decayed_weights(WEIGHT_DECAY), optax.sgd(learning_rate, momentum=MOMENTUM))


def augmented(image: Pixels, key: Key) -> Pixels:
    """Return a random 32x32 crop of each image padded with `PAD` black pixels, half of them flipped left to right."""
    crop_key, flip_key = jax.random.split(key)
    padded = jnp.pad(image, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
    corner = jax.random.randint(crop_key, (len(image), 2), 0, 2 * PAD + 1)
    crop = jax.vmap(lambda x, at: jax.lax.dynamic_slice(x, (at[0], at[1], 0), (32, 32, 3)))(padded, corner)
    flip = jax.random.bernoulli(flip_key, shape=(len(image), 1, 1, 1))
    return jnp.where(flip, crop[:, :, ::-1], crop)


def normalized(image: Pixels, normalization: Normalization) -> Float[Array, "batch 32 32 3"]:
    """Return pixels that have mean 0 and standard deviation 1 over the training images, in each channel."""
    mean, std = (jnp.asarray(value, jnp.float32)[None, None, None] for value in normalization)
    return (image.astype(jnp.float32) / 255 - mean) / std

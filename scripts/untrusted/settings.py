"""What is trained in the comparison: the built-in digits, and a small network on CIFAR-10."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pol_jax import Arrays, Source, Task, load_task
from pol_jax.protocol.trees import PyTree
from pol_jax.training.records import record_spec, take
from untrusted.federation import Setting

SETTINGS = {
    "digits": Setting(workers=10, rounds=2, steps=80, batch_size=32, interval=20, classes=4, share=0.125),
    "cifar10": Setting(workers=10, rounds=3, steps=160, batch_size=32, interval=20, classes=7, share=0.125),
}
QUICK = Setting(workers=4, rounds=1, steps=12, batch_size=8, interval=4, classes=5, share=0.25)

TRAIN, TEST = 40_000, 2_000
"""So many images of CIFAR-10."""


def task_named(name: str, setting: Setting, data_dir: Path | None) -> tuple[Task, Mapping[str, np.ndarray]]:
    """Return a task, and all its training records as arrays by name."""
    if name == "cifar10":
        return cifar10(setting.steps, data_dir)
    task = load_task(name, steps=setting.steps)
    return task, _arrays(task.source, len(task.source))


def cifar10(steps: int, data_dir: Path | None) -> tuple[Task, Mapping[str, np.ndarray]]:
    """Return a network of three convolutions on the first images of CIFAR-10, halved in size."""
    from pol_jax.tasks.tfds import LabelledImages

    train, test = (
        _halved(_arrays(LabelledImages("cifar10", split, data_dir), count))
        for split, count in (("train", TRAIN), ("test", TEST))
    )
    optimizer = optax.sgd(0.05, momentum=0.9)

    def init(key: jax.Array) -> PyTree:
        shapes = {"conv1": (3, 3, 3, 16), "conv2": (3, 3, 16, 32), "conv3": (3, 3, 32, 32), "linear": (128, 10)}
        keys = jax.random.split(key, len(shapes))
        params = {
            name: jax.random.normal(one, shape) * (2 / np.prod(shape[:-1])) ** 0.5
            for one, (name, shape) in zip(keys, shapes.items(), strict=True)
        }
        return {"params": params, "momentum": optimizer.init(params)}

    def loss_of(params: PyTree, batch: PyTree) -> tuple[jax.Array, jax.Array]:
        x = batch["image"].astype(jnp.float32) / 128 - 1
        for name in ("conv1", "conv2", "conv3"):
            x = jax.lax.conv_general_dilated(
                x, params[name], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x)
        logits = x.reshape(len(x), -1) @ params["linear"]
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, jnp.mean(logits.argmax(-1) == batch["label"], dtype=jnp.float32)

    def step(state: PyTree, batch: PyTree, key: jax.Array) -> tuple[PyTree, dict[str, jax.Array]]:
        batch = batch | {"image": jnp.where(jax.random.bernoulli(key), batch["image"][:, :, ::-1], batch["image"])}
        (loss, _), gradient = jax.value_and_grad(loss_of, has_aux=True)(state["params"], batch)
        updates, momentum = optimizer.update(gradient, state["momentum"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "momentum": momentum}, {"loss": loss}

    def evaluate(state: PyTree) -> dict[str, float]:
        return {"test accuracy": float(jax.jit(loss_of)(state["params"], test)[1])}

    name = "CIFAR-10 at 16x16, three convolutions"
    return Task(name, init, step, Arrays(train), 32, steps, evaluate=evaluate), train


def _arrays(source: Source, count: int) -> dict[str, np.ndarray]:
    spec = record_spec(source)
    leaves = take(source, spec, np.arange(count))
    return {leaf.path[1:]: array for leaf, array in zip(spec, leaves, strict=True)}


def _halved(records: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return images of half the width and height; each pixel is the mean of four."""
    count, height, width, colours = records["image"].shape
    fours = records["image"].reshape(count, height // 2, 2, width // 2, 2, colours)
    return {**records, "image": fours.mean((2, 4)).round().astype(np.uint8)}

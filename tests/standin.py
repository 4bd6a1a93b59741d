"""Small stand-ins for the data sets of the built-in tasks, and a loop that trains on them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from places import ROOT

from pol_jax.training.records import Arrays
from pol_jax.training.task import Task

REAL = Path(os.environ.get("POL_TFDS") or ROOT.parent / "shared" / "tfds")


TEXT = b"To be, or not to be, that is the question:\n" * 40


KEY = jax.random.key(0)


def pictures(count: int) -> np.ndarray:
    """Noise around one grey level for each of two classes in turn: easy to learn."""
    noise = np.random.default_rng(count).integers(0, 60, (count, 32, 32, 3))
    return (noise + 150 * (np.arange(count) % 2)[:, None, None, None]).astype(np.uint8)


class Standin(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]  # TFDS has no types
    """What TFDS would prepare for ``cifar10``, ``cifar100`` and ``tiny_shakespeare``, but tiny."""

    VERSION = tfds.core.Version("3.0.2")

    def _info(self) -> tfds.core.DatasetInfo:
        features: dict[str, Any] = {"text": tfds.features.Text()}
        if self.name != "tiny_shakespeare":
            image = tfds.features.Image(shape=(32, 32, 3), encoding_format="png")
            features = {"id": tfds.features.Text(), "image": image, "label": tfds.features.ClassLabel(num_classes=10)}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, _: Any) -> dict[str, Any]:
        sizes = {"train": 16, "test": 8, "validation": 2}
        return {split: self._generate_examples(size) for split, size in sizes.items()}

    def _generate_examples(self, size: int) -> Iterator[tuple[int, Any]]:
        if self.name == "tiny_shakespeare":
            yield 0, {"text": TEXT}
            return
        for i, picture in enumerate(pictures(size)):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "png")
            file.seek(0)
            yield i, {"id": str(i), "image": file, "label": i % 2}


def train(task: Task, steps: int, batch_size: int | None = None, key: jax.Array = KEY) -> tuple[Any, list[float]]:
    """The state after some steps over shuffled epochs, and every loss."""
    size, source = batch_size or task.batch_size, cast(Arrays, task.source)
    rng = np.random.default_rng(0)
    epochs = -(-steps * size // len(task.source))
    order = np.concatenate([rng.permutation(len(task.source)) for _ in range(epochs)])
    # Not jitted: compiling the initialisation of ResNet-20 takes longer than the rest of its test.
    state, losses = task.init(key), []

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, batch: Any, at: np.uint32) -> Any:
        # The key is made within: alone, it takes as long as a small step.
        return task.step(state, batch, jax.random.fold_in(key, at))

    for i in range(steps):
        state, metrics = step(state, source.records_at(order[i * size : (i + 1) * size]), np.uint32(i))
        losses.append(metrics["loss"])
    return state, [float(loss) for loss in losses]

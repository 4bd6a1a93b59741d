"""The task cifar10 has its recipe's numbers, and learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import tiny as small
from standin import train

from pol_jax.tasks import cifar, cifar10
from pol_jax.tasks.tfds import LabelledImages
from pol_jax.training.records import Cached
from pol_jax.training.task import Task, load_task


@pytest.mark.parametrize(("asked", "steps"), [(None, 64_000), (7, 7)])
def test_the_recipe_is_that_of_the_paper(
    asked: int | None, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[tuple[Any, ...]]()
    monkeypatch.setattr(cifar10, "resnet20", lambda classes, *, rngs: (classes, rngs))

    def cifar_task(*given: Any) -> Task:
        made.append(given)
        return small.plain()

    monkeypatch.setattr(cifar10, "cifar", cifar_task)
    cifar10.cifar10(tmp_path, asked)
    ((name, build, normalization, number, folder),) = made
    assert (name, number, folder, normalization) == ("cifar10", steps, tmp_path, cifar10.NORMALIZATION)
    assert build("rngs") == (10, "rngs")


def test_cifar10_learns(tiny: Path) -> None:
    task = load_task("cifar10", data_dir=tiny, steps=40)
    state, losses = train(task, 10, batch_size=16)
    assert 1.5 < losses[0] < 5
    assert losses[-1] < 0.5
    assert task.evaluate is not None
    assert set(task.evaluate(state)) == {"test accuracy"}


def test_cifar10_real_records(real: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = Cached(LabelledImages("cifar10", "train", real))
    batch = source.records_at(np.arange(512))
    assert len(source) == 50_000
    assert set(batch["label"].tolist()) == set(range(10))
    image = cifar.normalized(jnp.asarray(batch["image"]), cifar10.NORMALIZATION)
    np.testing.assert_allclose(image.mean((0, 1, 2)), 0, atol=0.1)
    np.testing.assert_allclose(image.std((0, 1, 2)), 1, atol=0.1)
    assert capfd.readouterr() == ("", "")

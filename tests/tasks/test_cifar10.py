"""The task cifar10 has its recipe's numbers, and learns."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from recipes import recipe_of
from standin import train

from pol_jax.tasks import cifar, cifar10
from pol_jax.tasks.tfds import LabelledImages
from pol_jax.training.records import Cached
from pol_jax.training.task import load_task


@pytest.mark.parametrize(("asked", "steps"), [(None, 64_000), (7, 7)])
def test_the_recipe_is_that_of_the_paper(
    asked: int | None, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe_of(cifar10, "resnet20", asked, tmp_path, monkeypatch)
    assert made == ("cifar10", 10, cifar10.NORMALIZATION, steps, tmp_path)


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

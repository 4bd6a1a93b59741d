"""The task cifar100 has the numbers of the paper on proof of learning: 200 epochs, a ResNet-50 for 100 classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny as small

from pol_jax.tasks import cifar100
from pol_jax.training.task import Task


@pytest.mark.parametrize(("asked", "steps"), [(None, 78_125), (7, 7)])
def test_the_recipe_is_that_of_the_paper(
    asked: int | None, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[tuple[Any, ...]]()
    monkeypatch.setattr(cifar100, "resnet50", lambda classes, *, rngs: (classes, rngs))

    def cifar_task(*given: Any) -> Task:
        made.append(given)
        return small.plain()

    monkeypatch.setattr(cifar100, "cifar", cifar_task)
    cifar100.cifar100(tmp_path, asked)
    ((name, build, normalization, number, folder),) = made
    assert (name, number, folder, normalization) == ("cifar100", steps, tmp_path, cifar100.NORMALIZATION)
    assert build("rngs") == (100, "rngs")

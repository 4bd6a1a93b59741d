"""What a task of CIFAR images is made of: the numbers of its recipe, without images or a network."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiny

from pol_jax.training.task import Task


def recipe_of(
    module: ModuleType, network: str, asked: int | None, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, ...]:
    """Name, classes, normalization, steps and folder of the task that a module makes, named as the module.

    Args:
        module: of the task.
        network: name of the network that it builds.
        asked: steps that a user asks for.
        data_dir: of the images.
        monkeypatch: of the test.
    """
    made = list[tuple[Any, ...]]()
    monkeypatch.setattr(module, network, lambda classes, *, rngs: (classes, rngs))

    def cifar_task(*given: Any) -> Task:
        made.append(given)
        return tiny.plain()

    monkeypatch.setattr(module, "cifar", cifar_task)
    getattr(module, module.__name__.rpartition(".")[2])(data_dir, asked)
    ((name, build, normalization, steps, folder),) = made
    classes, rngs = build("rngs")
    assert rngs == "rngs"
    return name, classes, normalization, steps, folder

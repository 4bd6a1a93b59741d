"""The task cifar100 has the numbers of the paper on proof of learning: 200 epochs, a ResNet-50 for 100 classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipes import recipe_of

from pol_jax.tasks import cifar100


@pytest.mark.parametrize(("asked", "steps"), [(None, 78_125), (7, 7)])
def test_the_recipe_is_that_of_the_paper(
    asked: int | None, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe_of(cifar100, "resnet50", asked, tmp_path, monkeypatch)
    assert made == ("cifar100", 100, cifar100.NORMALIZATION, steps, tmp_path)

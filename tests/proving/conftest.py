"""An uninterrupted run, with which those that were killed are compared."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from killed_runs import CHOICES, STEPS

from pol_jax.proving.train import train


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of which those in `killed_runs` are a part."""
    path = tmp_path_factory.mktemp("whole") / "proof"
    train(tiny.plain(), path, steps=STEPS, choices=CHOICES)
    return path

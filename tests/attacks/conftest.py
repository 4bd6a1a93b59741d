"""Proofs that attacks damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from attacked_run import attacked_setting

from pol_jax.attacks.attack import Setting
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train


@pytest.fixture(scope="session")
def small_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof of 4 steps in two segments, to be damaged in place by those who mend it again."""
    path = tmp_path_factory.mktemp("small") / "proof"
    train(tiny.plain(), path, steps=4, choices=Choices(interval=2))
    return path


@pytest.fixture(scope="session")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """What a forger has of an honest run."""
    return attacked_setting(tmp_path_factory.mktemp("victim") / "proof")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Orbax logs what it can't read, at length."""
    with caplog.at_level("CRITICAL"):
        yield

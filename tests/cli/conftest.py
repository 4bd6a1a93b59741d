"""Runs that commands read."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import pol
from forge import claim_of


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one commitment, the second longer, and one of another seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, steps, seed in (("a", 12, "1"), ("longer", 18, "1"), ("other", 12, "2")):
        trained = pol("train", "tiny:plain", "--out", folder / name, "--steps", str(steps), "--seed", seed)
        assert trained.exit_code == 0, trained.output
        assert f"trained {steps} steps of tiny plain" in trained.output
        assert claim_of(folder / name).digest().hex() in trained.output
    return folder

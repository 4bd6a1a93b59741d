"""Runs that commands read."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import pol

from pol_jax.storage.proof import open_proof


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one commitment, the second longer, and one of another seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, steps, seed in (("a", 12, "1"), ("longer", 18, "1"), ("other", 12, "2")):
        trained = pol("train", "tiny:plain", "--out", folder / name, "--steps", str(steps), "--seed", seed)
        assert trained.exit_code == 0, trained.output
        assert f"trained {steps} steps of tiny plain" in trained.output
        assert open_proof(folder / name).claim.digest().hex() in trained.output
    return folder

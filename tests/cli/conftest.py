"""Runs that commands read, and signed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from commands import pol
from forge import claim_of

from pol_jax.progress import Silent
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment


def commit_to(root: Path, seed: str) -> None:
    """Commit to 18 steps at most."""
    root.mkdir()
    write_commitment(root, tiny.plain(), Choices(seed=seed, may_stop_early=True), Silent(), steps=18)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one commitment, the second longer, and one of another seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, steps, seed in (("a", 12, "1"), ("longer", 18, "1"), ("other", 12, "2")):
        arguments = ("--out", folder / name, "--seed", seed, "--may-stop-early")
        commit_to(folder / name, seed)
        trained = pol("train", "tiny:plain", *arguments, "--steps", str(steps))
        assert trained.exit_code == 0, trained.output
        assert f"trained {steps} steps of tiny plain" in trained.output
        assert claim_of(folder / name).digest().hex() in trained.output
    return folder


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``key.pem``, its public half in ``signer``, and a ``proof`` that this key signed."""
    folder = tmp_path_factory.mktemp("signed")
    made = pol("keygen", folder / "key.pem")
    (folder / "signer").write_text(made.stdout)
    arguments = ("--steps", "12", "--seed", "1", "--key", folder / "key.pem")
    trained = pol("train", "tiny:plain", "--out", folder / "proof", *arguments)
    assert trained.exit_code == 0, trained.output
    assert f"signed by {made.stdout.strip()}" in trained.output
    return folder

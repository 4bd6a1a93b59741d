"""`pol train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from commands import pol
from fine_tuned import INTERVAL, STEPS, digest

from pol_jax.cli import main as cli
from pol_jax.errors import UsageError
from pol_jax.storage.proof import open_proof

pytestmark = pytest.mark.usefixtures("in_process")


def run(*arguments: str | int | Path) -> Any:
    return CliRunner().invoke(cli.pol, [str(argument) for argument in arguments])


def test_commands(chain: Path, tmp_path: Path) -> None:
    base, out = chain / "base", tmp_path / "tuned"
    train_it = ("train", "tiny:plain", "--out", out, "--steps", STEPS, "--interval", INTERVAL, "--seed", "child")
    trained = run(*train_it, "--start-from", base, "--take", "/params")
    assert trained.exit_code == 0, trained.output
    assert "initial state: 2 of 6 leaves (51 values) come from the final state of claim" in trained.output
    assert digest(out) == digest(chain / "child")
    shown = run("inspect", out)
    assert digest(base)[:16] in shown.output
    assert "/params/b, /params/w" in shown.output
    verify = ("verify", out, "--task", "tiny:plain", "--all")
    verified = run(*verify, "--parent", base)
    assert verified.exit_code == 0, verified.output
    assert f"earlier proof of tiny plain, claim {digest(base)[:16]}…: accepted" in verified.output
    missing = run(*verify)
    assert missing.exit_code == 3
    assert missing.output.startswith("training starts from the run with the claim")
    assert "add --parent DIR" in missing.output


def test_commands_for_weights(chain: Path, tmp_path: Path) -> None:
    train_it = ("train", "tiny:plain", "--out", tmp_path / "tuned", "--steps", STEPS)
    source = chain / "base" / "checkpoints" / "0000000024"
    trained = run(*train_it, "--start-from-weights", source, "--take", "/params/w", "--take", "/momentum")
    assert trained.exit_code == 0, trained.output
    assert open_proof(tmp_path / "tuned").commitment.initial.leaves == ("/momentum", "/params/w")
    verified = run("verify", tmp_path / "tuned", "--task", "tiny:plain", "--task", "tiny:nested")
    assert verified.exit_code == 0, verified.output
    assert verified.output.startswith(
        "training starts from weights of unproven origin: /momentum, /params/w; 96 values"
    )
    for wrong in (("--take", "/params"), ("--start-from", chain / "base", "--start-from-weights", source)):
        result = run(*train_it, *wrong)
        assert isinstance(result.exception, UsageError), result.output
    result = run("verify", tmp_path / "tuned", "--task", "tiny:linen", "--task", "tiny:nested")
    assert "none of the given tasks is called" in str(result.exception) or result.exit_code == 2


def test_train_again_says_that_it_is_finished(runs: Path) -> None:
    again = pol("train", "tiny:plain", "--out", runs / "a")
    assert again.exit_code == 0
    assert "is finished already" in again.output


@pytest.mark.interpreter
def test_train_keeps_few_checkpoints_and_inspect_shows_how_many(runs: Path, tmp_path: Path) -> None:
    arguments = ("train", "tiny:plain", "--out", tmp_path / "proof", "--steps", "14", "--seed", "1")
    assert pol(*arguments, "--interval", "3", "--keep-every", "2").exit_code == 0
    assert open_proof(tmp_path / "proof").checkpoints() == [0, 6, 12, 14]
    assert "4 kept of 6, one every 3 steps" in pol("inspect", tmp_path / "proof").output
    assert "3 kept of 3, one every 6 steps" in pol("inspect", runs / "a").output

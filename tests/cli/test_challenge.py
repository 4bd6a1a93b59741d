"""`pol challenge` draws steps, in a moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import pol

COMMANDS = {"challenge": ("--nonce", "ab" * 16), "check": (), "inspect": ()}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_needs_no_replay_needs_no_jax(name: str, plain_proof: Path) -> None:
    """Starting jax takes seconds, and much of a small machine; jaxtyping and the version take a while."""
    script = (
        "import sys; from pol_jax.cli.main import pol\n"
        "try: pol(sys.argv[1:], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "print(sorted({'jax', 'orbax', 'flax', 'jaxtyping', 'importlib.metadata'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, name, str(plain_proof), *COMMANDS[name]], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == "[]"


def test_the_same_nonce_draws_the_same_steps(plain_proof: Path) -> None:
    one, other = (pol("challenge", plain_proof, "--nonce", "ab" * 16) for _ in range(2))
    assert one.exit_code == 0
    assert one.output == other.output
    assert "pol open PROOF --nonce" in one.output


def test_the_printed_commands_draw_the_same_steps(plain_proof: Path) -> None:
    """Every digit counts: a confidence that is rounded is another draw, or none."""
    digits = "--confidence 0.9999999 --fraction 0.1234567"
    shown = pol("challenge", plain_proof, "--nonce", "ab" * 16, *digits.split())
    lines = [line for line in shown.output.splitlines() if "pol open" in line or "pol verify" in line]
    assert len(lines) == 2
    assert all(digits in line for line in lines)


def test_roots_without_a_round_are_refused(runs: Path, tmp_path: Path) -> None:
    refused = pol("challenge", runs / "a", "--tsa-roots", tmp_path / "roots")
    assert (refused.exit_code, "give --nonce-round too" in refused.stderr) == (2, True)

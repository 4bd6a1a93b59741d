"""`pol challenge`, `pol open` and `pol verify --opening`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from places import TESTS

from pol_jax.reports.report import Report


def test_challenge_open_verify(plain_proof: Path, tmp_path: Path) -> None:
    def pol(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pol_jax.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=TESTS)

    shutil.copyfile(plain_proof / "claim.json", tmp_path / "claim.json")
    asked = pol("challenge", tmp_path / "claim.json", "--nonce", "aabb", "--confidence", "0.5")
    assert asked.returncode == 0, asked.stderr
    assert "--nonce aabb --confidence 0.5" in asked.stdout
    draw = ("--nonce", "aabb", "--confidence", "0.5")
    opened = pol("open", plain_proof, *draw, "--out", tmp_path / "o", "--task", "tiny:plain")
    assert opened.returncode == 0, opened.stderr
    accepted = pol("verify", tmp_path / "claim.json", "--opening", tmp_path / "o", *draw, "--json", tmp_path / "json")
    assert accepted.returncode == 0, accepted.stderr
    assert "accepted" in accepted.stdout
    coverage = msgspec.json.decode((tmp_path / "json").read_bytes(), type=Report).coverage
    assert coverage is not None
    assert coverage.unit == "step"
    for wrong, problem in (
        ((), "give --steps LIST, or the --nonce"),
        ((*draw, "--steps", "1"), "one of them"),
        ((*draw, "--all"), "has no meaning for an opening"),
        (("--steps", "1", "--fraction", "0.1"), "leave out --steps"),
    ):
        refusal = pol("verify", tmp_path / "claim.json", "--opening", tmp_path / "o", *wrong)
        assert refusal.returncode == 2
        assert problem in refusal.stderr
        assert len(refusal.stderr.strip().splitlines()) == 1
    assert pol("verify", plain_proof, "--steps", "1").returncode == 2

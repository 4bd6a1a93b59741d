"""The example of a loop of one's own runs, and its proof is accepted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from places import SCRIPTS


def test_example_of_an_own_loop_runs_and_verifies(tmp_path: Path) -> None:
    run = [sys.executable, "own_loop.py", "--out", str(tmp_path / "proof"), "--steps", "120"]
    subprocess.run(run, cwd=SCRIPTS, check=True, capture_output=True)
    verify = [sys.executable, "-m", "pol_jax.cli", "verify", str(tmp_path / "proof"), "--task", "own_loop:task"]
    assert subprocess.run(verify, cwd=SCRIPTS, check=False, capture_output=True).returncode == 0

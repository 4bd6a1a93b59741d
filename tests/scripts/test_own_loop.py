"""The example of a loop of one's own runs, and its proof is accepted."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from commands import pol
from places import SCRIPTS


@pytest.mark.usefixtures("in_process")
def test_example_of_an_own_loop_runs_and_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = tmp_path / "proof"
    monkeypatch.setattr(sys, "argv", ["own_loop.py", "--out", str(proof), "--steps", "120"])
    runpy.run_path(str(SCRIPTS / "own_loop.py"), run_name="__main__")
    monkeypatch.chdir(SCRIPTS)
    assert pol("verify", proof, "--task", "own_loop:task").exit_code == 0

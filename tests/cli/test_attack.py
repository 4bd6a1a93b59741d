"""``pol attack`` forges a proof that the rule of the paper accepts and ``pol verify`` does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import pol

CALL = ("--task", "tiny:plain", "--d-ref", "30")


@pytest.mark.usefixtures("in_process")
def test_an_attack_is_written_and_rejected(plain_proof: Path, tmp_path: Path) -> None:
    out = tmp_path / "forged"
    result = pol("attack", "interpolation", plain_proof, "--out", out, *CALL)
    assert result.exit_code == 0, result.output + result.stderr
    assert "at a cost of 0 gradients" in result.output
    assert "by the rule of the 2021 paper: accepted" in result.output
    verified = pol("verify", out, "--task", "tiny:plain", "--all")
    assert verified.exit_code == 1, verified.output


def test_a_call_that_names_no_attack_is_refused(plain_proof: Path, tmp_path: Path) -> None:
    result = pol("attack", plain_proof, "--out", tmp_path / "forged", *CALL)
    assert result.exit_code == 2
    assert "NAME is one of interpolation, " in result.stderr
    assert pol("attack", "magic", plain_proof, "--out", tmp_path / "forged", *CALL).exit_code == 2


def test_nothing_is_written_over(plain_proof: Path, tmp_path: Path) -> None:
    result = pol("attack", "interpolation", plain_proof, "--out", tmp_path, *CALL)
    assert result.exit_code == 2
    assert "is there already" in result.stderr


def test_an_attack_that_the_task_lacks_something_for_leaves_nothing(plain_proof: Path, tmp_path: Path) -> None:
    out = tmp_path / "forged"
    result = pol("attack", "signs-of-first-zeros", plain_proof, "--out", out, *CALL)
    assert result.exit_code == 2
    assert "needs a program" in result.stderr
    assert not out.exists()

"""A bit that flips in the memory of a training process is found, its step named, and the run continued before it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from commands import pol
from flipped_bit import train

import pol_jax
from pol_jax.errors import DivergenceError, UsageError


@pytest.mark.parametrize("flipped", [1, 8, 12, 22])
def test_a_flipped_bit_is_found_and_its_step_named(flipped: int, plain_proof: Path, tmp_path: Path) -> None:
    """The first step that begins with the flipped bit; the run is then continued, to the same claim."""
    with pytest.raises(DivergenceError, match=rf"step {flipped + 1} gives another result when it is executed again"):
        train(tmp_path / "proof", flipped, 1)
    train(tmp_path / "proof", None, 1)
    assert pol_jax.open_proof(tmp_path / "proof").claim == pol_jax.open_proof(plain_proof).claim


@pytest.mark.usefixtures("in_process")
def test_without_a_check_only_a_verifier_finds_it(tmp_path: Path) -> None:
    train(tmp_path / "proof", 8, None)
    report = pol_jax.verify(tmp_path / "proof", tiny.plain().source, policy=pol_jax.AllSegments())
    assert report.verdict is pol_jax.Verdict.REJECTED
    assert any("the replay of step 9 differs" in reason for reason in report.reasons)


def test_a_checked_run_has_the_claim_of_one_that_is_not(plain_proof: Path, tmp_path: Path) -> None:
    options = ("--steps", str(tiny.STEPS), "--interval", str(tiny.INTERVAL), "--seed", "tests", "--self-check", "1/2")
    trained = pol("train", "tiny:plain", "--out", tmp_path / "proof", *options)
    assert trained.exit_code == 0, trained.output
    assert pol_jax.open_proof(tmp_path / "proof").claim == pol_jax.open_proof(plain_proof).claim


@pytest.mark.parametrize("text", ["2", "1/0", "2/3", "1/", "often"])
def test_what_is_no_share_is_one_line(text: str, tmp_path: Path) -> None:
    refused = pol("train", "tiny:plain", "--out", tmp_path / "proof", "--self-check", text)
    assert refused.exit_code == 2
    assert "expected 1/N" in refused.stderr
    with pytest.raises(UsageError, match="self_check"):
        pol_jax.train(tiny.plain(), tmp_path / "other", self_check=0)

"""`pol challenge`, `pol open` and `pol verify --opening` work together, without the proof and its records."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from commands import pol

from pol_jax.reports.report import Report

pytestmark = pytest.mark.usefixtures("in_process")

NONCE = "ab" * 16


def test_a_challenge_is_opened_and_verified(plain_proof: Path, tmp_path: Path) -> None:
    shutil.copyfile(plain_proof / "claim.json", tmp_path / "claim.json")
    asked = pol("challenge", tmp_path / "claim.json", "--nonce", NONCE, "--confidence", "0.5")
    assert asked.exit_code == 0, asked.stderr
    assert f"--nonce {NONCE} --confidence 0.5" in asked.stdout
    draw = ("--nonce", NONCE, "--confidence", "0.5")
    opened = pol("open", plain_proof, *draw, "--out", tmp_path / "o", "--task", "tiny:plain")
    assert opened.exit_code == 0, opened.stderr
    accepted = pol("verify", tmp_path / "claim.json", "--opening", tmp_path / "o", *draw, "--json", tmp_path / "json")
    assert accepted.exit_code == 0, accepted.stderr
    assert "accepted" in accepted.stdout
    coverage = msgspec.json.decode((tmp_path / "json").read_bytes(), type=Report).coverage
    assert coverage is not None
    assert coverage.unit == "step"
    for wrong, problem in (
        ((), "give either --steps LIST, or the --nonce"),
        ((*draw, "--steps", "1"), "give either --steps LIST"),
        ((*draw, "--all"), "has no meaning for an opening"),
        (("--steps", "1", "--fraction", "0.1"), "leave out --steps"),
    ):
        refusal = pol("verify", tmp_path / "claim.json", "--opening", tmp_path / "o", *wrong)
        assert refusal.exit_code == 2
        assert problem in refusal.stderr
        assert len(refusal.stderr.strip().splitlines()) == 1
    assert pol("verify", plain_proof, "--steps", "1").exit_code == 2


def test_a_bundle_and_an_opening_say_whose_the_claim_is(signed: Path, tmp_path: Path) -> None:
    proof, bundle, opening = signed / "proof", tmp_path / "bundle", tmp_path / "opening"
    shutil.copytree(proof / "attestations", bundle / "attestations")
    shutil.copyfile(proof / "claim.json", bundle / "claim.json")
    asked = ("--steps", "1,12")
    assert pol("open", proof, "--out", opening, "--task", "tiny:plain", *asked).exit_code == 0
    ours = (signed / "signer").read_text().strip()
    done = pol("verify", bundle, "--opening", opening, *asked, "--signer", ours, "--any-program")
    assert done.exit_code == 0, done.output
    assert (
        f"by: signed by {ours}, the prover whom the commitment names, and the signer that was asked for" in done.stdout
    )
    thief = pol("keygen", tmp_path / "thief.pem").stdout.strip()
    refused = pol("verify", bundle, "--opening", opening, *asked, "--signer", thief)
    assert refused.exit_code == 1
    assert f"expected the signer {thief}" in refused.stdout

"""A nonce is given in hex, or as a drand round; a round of the past is refused where the claim's timestamp is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import pol
from example_reports import unfinished
from places import TESTS
from timestamp_authority import Authority

from pol_jax.attesting.timestamp import make_request
from pol_jax.cli.nonces import GivenNonce
from pol_jax.errors import ProofError
from pol_jax.reports.public_draw import PublicDraw

pytestmark = pytest.mark.usefixtures("in_process")

PUBLISHED = json.loads((TESTS / "attesting/vectors/drand_published.json").read_text())
ROUND = next(each["round"] for each in PUBLISHED if each["chain"] == "quicknet")
TASK = ("--task", "tiny:plain")


@pytest.fixture
def round_file(tmp_path: Path) -> Path:
    path = tmp_path / "round.json"
    path.write_text(json.dumps(ROUND))
    return path


@pytest.fixture
def stamped(signed: Path, tmp_path: Path, authority: Authority) -> Path:
    """A signed proof with a timestamp of today over its claim."""
    proof = tmp_path / "proof"
    shutil.copytree(signed / "proof", proof)
    envelope = (proof / "attestations/claim.dsse.json").read_bytes()
    (proof / "attestations/claim.tsr").write_bytes(authority.answer(make_request(envelope)))
    return proof


def test_a_round_draws_as_its_randomness_does(plain_proof: Path, tmp_path: Path, round_file: Path) -> None:
    by_round = pol("challenge", plain_proof, "--nonce-round", round_file)
    by_nonce = pol("challenge", plain_proof, "--nonce", ROUND["randomness"])
    assert by_round.exit_code == by_nonce.exit_code == 0, by_round.output
    assert by_round.stdout.splitlines()[0] == by_nonce.stdout.splitlines()[0]
    assert "the prover may have known it" in by_round.stdout
    assert "--nonce-round round.json" in by_round.stdout
    opened = pol("open", plain_proof, "--nonce-round", round_file, "--out", tmp_path / "opening", *TASK)
    assert opened.exit_code == 0, opened.output
    answer = ("--opening", tmp_path / "opening", "--nonce-round", round_file, "--json", tmp_path / "report.json")
    verified = pol("verify", plain_proof / "claim.json", *answer)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["nonce"] == ROUND["randomness"], verified.output
    assert report["public_draw"]["round"].startswith("drand:52db9ba7")
    assert report["public_draw"]["claim_time"] is None
    assert "which came out at 2023-08-23T15:59:24" in verified.stdout


def test_a_report_on_a_proof_names_the_round_and_the_inventory(
    plain_proof: Path, tmp_path: Path, round_file: Path
) -> None:
    pol("verify", plain_proof, *TASK, "--all", "--nonce-round", round_file, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (
        report["public_draw"]["round"] == f"drand:{report['public_draw']['round'].split(':')[1]}:1000:{report['nonce']}"
    )


def test_a_round_that_the_claim_s_timestamp_does_not_call_for(
    stamped: Path, round_file: Path, authority: Authority
) -> None:
    """The prover may have known a round of 2023 when they made the claim."""
    for command in (("verify", stamped, *TASK), ("challenge", stamped)):
        refused = pol(*command, "--nonce-round", round_file, "--tsa-roots", authority.root)
        assert refused.exit_code == 2, refused.output
        assert "is round 1000 of drand chain 52db9ba7" in refused.stderr
        assert "the first after the claim's timestamp of" in refused.stderr


def test_a_claim_of_an_unknown_authority_is_not_rejected(stamped: Path, tmp_path: Path, round_file: Path) -> None:
    """Its timestamp shows nothing to this verifier, and may be true all the same."""
    known = Authority(tmp_path / "known", name="Known")
    for command in (("verify", stamped, *TASK), ("challenge", stamped)):
        found = pol(*command, "--nonce-round", round_file, "--tsa-roots", known.root)
        assert (found.exit_code, "not a timestamp of" in found.stderr) == (3, True), found.output


def test_a_report_on_another_claim_than_the_stamped_one_is_refused() -> None:
    """The files are the prover's, who knows the round once it is out, and may exchange them."""
    draw = PublicDraw("drand:" + "1" * 64 + ":1:" + "2" * 64, "2026-01-01T00:00:03+00:00", "2026-01-01T00:00:00+00:00")
    given = GivenNonce(bytes(32), draw, "1" * 64)
    assert given.named_in(unfinished(claim="1" * 64)).public_draw == draw
    assert given.named_in(unfinished()).public_draw == draw, "a claim that could not be read is rejected anyway"
    with pytest.raises(ProofError, match=r"claim\.json: is another one"):
        given.named_in(unfinished(claim="2" * 64))
    assert GivenNonce(bytes(32), draw).named_in(unfinished(claim="2" * 64)).public_draw == draw


def test_what_is_no_round(plain_proof: Path, tmp_path: Path, round_file: Path) -> None:
    both = pol("challenge", plain_proof, "--nonce-round", round_file, "--nonce", "ab" * 16)
    assert (both.exit_code, "give only one of them" in both.stderr) == (2, True)
    round_file.write_text(json.dumps(ROUND | {"round": 1001}))
    unsigned = pol("challenge", plain_proof, "--nonce-round", round_file)
    assert (unsigned.exit_code, "is not signed" in unsigned.stderr) == (2, True)

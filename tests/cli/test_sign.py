"""`pol sign` signs a claim with its model, and refuses what the key or the proof doesn't fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import pol

from pol_jax.attesting.attestation import read_attestation
from pol_jax.attesting.digests import digest_arrays, digest_file
from pol_jax.attesting.subjects import PARAMETERS, STATE
from pol_jax.cli.output_file import proof_around, write_new
from pol_jax.errors import ProofError, UsageError
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.final_arrays import read_final_state
from pol_jax.storage.proof import open_proof


def test_what_is_signed_is_the_claim_and_the_final_arrays(signed: Path, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    out = tmp_path / "envelope"
    done = pol("sign", signed / "proof", "--key", signed / "key.pem", "--model", tmp_path / "model.bin", "--out", out)
    assert done.exit_code == 0, done.output
    assert not done.stderr
    found = read_attestation(out.read_bytes(), "claim", where="envelope")
    assert found.signers == ((signed / "signer").read_text().strip(),)
    assert found.document == (signed / "proof" / "claim.json").read_bytes()
    state = read_final_state(open_proof(signed / "proof"))
    parameters = {path: state[path] for path in ("/params/w", "/params/b")}
    assert found.digests_of(STATE) == digest_arrays(state)
    assert found.digests_of(PARAMETERS) == digest_arrays(parameters)
    assert found.digests_of("model.bin") == digest_file(tmp_path / "model.bin")


def test_only_the_committed_prover_can_sign(signed: Path, tmp_path: Path) -> None:
    assert pol("keygen", tmp_path / "thief.pem").exit_code == 0
    refused = pol("sign", signed / "proof", "--key", tmp_path / "thief.pem", "--out", tmp_path / "envelope")
    assert refused.exit_code == 2
    assert "the prover whom the commitment names" in refused.stderr
    assert not (tmp_path / "envelope").exists()


def test_a_signature_over_an_anonymous_proof_says_so(signed: Path, runs: Path, tmp_path: Path) -> None:
    done = pol("sign", runs / "a", "--key", signed / "key.pem", "--out", tmp_path / "envelope")
    assert done.exit_code == 0
    assert done.stderr.startswith("anonymous: ")


def test_an_envelope_lies_in_the_attestations_and_nowhere_else_in_a_proof(signed: Path) -> None:
    for inside in ("envelope", "ledger/envelope"):
        refused = pol("sign", signed / "proof", "--key", signed / "key.pem", "--out", signed / "proof" / inside)
        assert (refused.exit_code, "takes no other files" in refused.stderr) == (2, True)
    secret = pol("keygen", signed / "proof" / "attestations" / "key.pem")
    assert (secret.exit_code, "takes no other files" in secret.stderr) == (2, True)
    assert proof_around(signed / "proof" / "attestations" / "claim.dsse.json") == signed / "proof"
    assert proof_around(signed / "key.pem") is None


def test_what_training_signed_is_made_again_with_a_deployed_file(signed: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    shutil.copytree(signed / "proof", proof)
    own = proof / "attestations" / "claim.dsse.json"
    before = read_attestation(own.read_bytes(), "claim", where="before")
    (tmp_path / "model.bin").write_bytes(b"weights")
    again = ("sign", proof, "--key", signed / "key.pem", "--model", tmp_path / "model.bin")
    assert pol(*again).exit_code == 0
    after = read_attestation(own.read_bytes(), "claim", where="after")
    assert after.subjects[:2] == before.subjects
    assert after.digests_of("model.bin") == digest_file(tmp_path / "model.bin")
    assert after.seconds_per_step == before.seconds_per_step is not None
    (own.parent / "claim.tsr").write_bytes(b"a token")
    stamped = pol(*again)
    assert (stamped.exit_code, "a timestamp is over it" in stamped.stderr) == (2, True)
    (own.parent / "claim.tsr").unlink()
    own.write_bytes(b"{}")
    foreign = pol(*again)
    assert (foreign.exit_code, "move it away" in foreign.stderr) == (2, True)
    assert own.read_bytes() == b"{}"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write_new(tmp_path / "a", b"1")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("a", "link"):
        with pytest.raises(UsageError, match="exists already"):
            write_new(tmp_path / name, b"2")
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_final_checkpoint_that_is_not_the_claimed_one_is_not_signed(signed: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    shutil.copytree(signed / "proof", proof)
    shutil.rmtree(proof / checkpoint_name(12))
    shutil.copytree(proof / checkpoint_name(0), proof / checkpoint_name(12))
    with pytest.raises(ProofError, match="is not the final state that the claim names"):
        read_final_state(open_proof(proof))
    (proof / "attestations/claim.dsse.json").unlink()
    refused = pol("sign", proof, "--key", signed / "key.pem")
    assert refused.exit_code == 1
    assert not (proof / "attestations/claim.dsse.json").exists()
    (proof / "claim.json").unlink()
    unfinished = pol("sign", proof, "--key", signed / "key.pem")
    assert (unfinished.exit_code, "not finished" in unfinished.stderr) == (2, True)

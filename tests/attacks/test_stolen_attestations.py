"""The whole story: signed before and after, dated by a beacon and an authority; and the thief who copies it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors.numpy import save_file
from timestamp_authority import Authority

from pol_jax.attesting.age_keys import write_new_identity
from pol_jax.attesting.attestation import (
    attest_claim,
    attest_commitment,
    check_document,
    names_prover,
    read_attestation,
)
from pol_jax.attesting.beacon import verify_committed_round
from pol_jax.attesting.digests import digest_arrays, digest_file
from pol_jax.attesting.encryption import decrypt, encrypt
from pol_jax.attesting.matching import match_model
from pol_jax.attesting.public_key import public_text, read_signer
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.attesting.subjects import PARAMETERS, name_final
from pol_jax.attesting.time_window import Work, window_of
from pol_jax.attesting.timestamp import check_response, make_request, read_roots, verify_token
from pol_jax.attesting.weights import read_weights
from pol_jax.errors import ProofError

ROUNDS = json.loads((Path(__file__).parents[1] / "attesting" / "vectors" / "drand_published.json").read_text())
QUICKNET_HASH = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
PARAMETERS_AT_HAND = {"/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "/bias": np.ones(3, np.float32)}


def stamp(authority: Authority, message: bytes) -> bytes:
    request = make_request(message)
    response = authority.answer(request)
    check_response(request, response, "response.tsr")
    return response


@pytest.fixture
def proof(tmp_path: Path) -> dict[str, Any]:
    """What an owner holds after training: documents, envelopes, tokens, the deployed model."""
    key, authority = Ed25519PrivateKey.generate(), Authority(tmp_path / "tsa")
    published = ROUNDS[2]["round"]
    beacon = f"drand:{QUICKNET_HASH}:{published['round']}:{published['randomness']}"
    commitment = canonical_bytes({"beacon": beacon, "format": "pol-jax/1", "prover": public_text(key)})
    before = attest_commitment(commitment, key)
    before_stamp = stamp(authority, before)
    deployed = tmp_path / "model.safetensors"
    save_file({"weight": PARAMETERS_AT_HAND["/kernel"].T.copy(), "bias": PARAMETERS_AT_HAND["/bias"]}, deployed)
    digests = digest_arrays(PARAMETERS_AT_HAND)
    subjects = name_final(parameters=digests, state=digests, deployed=deployed)
    claim = canonical_bytes({"format": "pol-jax/1", "steps": 300})
    after = attest_claim(claim, subjects, key)
    return {
        "signer": public_text(key),
        "authority": authority,
        "commitment": (commitment, before, before_stamp),
        "claim": (claim, after, stamp(authority, after)),
        "round": json.dumps(published).encode(),
        "deployed": deployed,
    }


def test_who_when_and_which_model(proof: dict[str, Any], tmp_path: Path) -> None:
    signer, roots, now = read_signer(proof["signer"]), read_roots(proof["authority"].root), datetime.now(UTC)
    stamps = []
    for kind in ("commitment", "claim"):
        document, envelope, response = proof[kind]
        found = read_attestation(envelope, kind, where=f"{kind}.dsse.json", pinned=signer)
        check_document(found, document, f"{kind}.json")
        prover = json.loads(proof["commitment"][0])["prover"]
        assert names_prover(found, prover, f"{kind}.dsse.json")
        stamps.append(verify_token(response, envelope, roots, where=f"{kind}.tsr"))
    named = json.loads(proof["commitment"][0])["beacon"]
    came_out = verify_committed_round(named, proof["round"], now=now, where="beacon.json")
    window = window_of(now=now, beacon=came_out.time, commitment=stamps[0], envelope=stamps[1])
    assert window
    assert window.not_before == stamps[0].earliest
    longer = Work(300, 3600.0, "recorded by the prover")
    assert not window_of(now=now, beacon=came_out.time, commitment=stamps[0], envelope=stamps[1], work=longer)

    assert found.digests_of("model.safetensors") == digest_file(proof["deployed"])
    assert found.digests_of(PARAMETERS) == digest_arrays(PARAMETERS_AT_HAND)
    match = match_model(read_weights(proof["deployed"]), PARAMETERS_AT_HAND)
    assert match.is_equal
    assert {leaf.axes for leaf in match.leaves} == {None, (1, 0)}


def test_a_thief_who_copies_it_gains_nothing(proof: dict[str, Any]) -> None:
    thief = Ed25519PrivateKey.generate()
    claim, envelope, response = proof["claim"]
    roots = read_roots(proof["authority"].root)
    subjects = read_attestation(envelope, "claim", where="a").subjects
    copy = attest_claim(claim, subjects, thief)
    found = read_attestation(copy, "claim", where="copy.dsse.json")
    with pytest.raises(ProofError, match="the prover whom the commitment names"):
        names_prover(found, proof["signer"], "copy.dsse.json")
    with pytest.raises(ProofError, match="over another digest"):
        verify_token(response, copy, roots, where="claim.tsr")
    own = verify_token(stamp(proof["authority"], copy), copy, roots, where="copy.tsr")
    assert own.latest + timedelta(seconds=1) >= verify_token(response, envelope, roots, where="claim.tsr").earliest


def test_an_auditor_gets_it_encrypted(proof: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "proof").mkdir()
    for kind in ("commitment", "claim"):
        for suffix, content in zip(("json", "dsse.json", "tsr"), proof[kind], strict=True):
            (tmp_path / "proof" / f"{kind}.{suffix}").write_bytes(content)
    encrypt(tmp_path / "proof", [write_new_identity(tmp_path / "auditor")], tmp_path / "proof.age")
    decrypt(tmp_path / "proof.age", tmp_path / "auditor", tmp_path / "opened")
    envelope = (tmp_path / "opened" / "claim.dsse.json").read_bytes()
    assert read_attestation(envelope, "claim", where="a", pinned=proof["signer"]).document == proof["claim"][0]

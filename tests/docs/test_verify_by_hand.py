"""The script of docs/verify-by-hand.md, as it stands there: openssl, b3sum and jq, and nothing of this package."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from programs import needs
from timestamp_authority import Authority

from pol_jax.attesting.attestation import attest_claim, attest_commitment
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.public_key import public_text
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.attesting.subjects import name_final
from pol_jax.attesting.timestamp import make_request

DOCUMENT = Path(__file__).parents[2] / "docs" / "verify-by-hand.md"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = public_text(KEY)
CLAIM = canonical_bytes({"format": "pol-jax/1", "rate": 1e-7, "steps": 300, "long": ["x" * 999] * 999})

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the script takes, and what it must not take."""
    needs("openssl", "b3sum", "jq")
    root = tmp_path_factory.mktemp("by hand")
    authority, other = Authority(root / "tsa"), Authority(root / "other", name="Another")
    (root / "model.safetensors").write_bytes(b"weights")
    digests = digest_arrays({"a": np.ones(3, np.float32)})
    subjects = name_final(parameters=digests, state=digests, deployed=root / "model.safetensors")
    envelope = attest_claim(CLAIM, subjects, KEY)
    thief = Ed25519PrivateKey.generate()
    commitment = canonical_bytes({"format": "pol-jax/1"})
    files = {
        "claim.json": CLAIM,
        "claim.dsse.json": envelope,
        "claim.tsr": authority.answer(make_request(envelope)),
        "roots.pem": authority.root.read_bytes(),
        "foreign.pem": other.root.read_bytes(),
        "another.json": canonical_bytes({"steps": 301}),
        "commitment.json": commitment,
        "commitment.dsse.json": attest_commitment(commitment, KEY),
        "copy.dsse.json": attest_claim(CLAIM, subjects, thief),
        "renamed.dsse.json": attest_claim(CLAIM, subjects, thief).replace(public_text(thief).encode(), SIGNER.encode()),
        "changed.dsse.json": envelope.replace(b'"payload":"eyJ', b'"payload":"eyI'),
        "two.dsse.json": re.sub(rb'"signatures":\[(.*)\]', rb'"signatures":[\1,\1]', envelope),
        "other.tsr": authority.answer(make_request(CLAIM)),
        "other.safetensors": b"other weights",
    }
    for name, content in files.items():
        (root / name).write_bytes(content)
    one, bundle = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (root / "verify-by-hand.sh").write_text(one)
    (root / "verify-bundle.sh").write_text(bundle)
    return root


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "verify-by-hand.sh", *arguments], cwd=folder, capture_output=True, text=True)

    return call


def test_a_claim_with_timestamp_and_model_verifies(run: Run) -> None:
    found = run("claim.dsse.json", SIGNER, "claim.json", "claim.tsr", "roots.pem", "model.safetensors")
    assert (found.returncode, found.stderr) == (0, "")
    digest = blake3(CLAIM, derive_key_context="pol-jax/1 claim").hexdigest()
    lines = found.stdout.splitlines()
    assert lines[0] == f"signed by {SIGNER}"
    assert lines[1] == f"the claim at hand is the one that was signed; its digest is {digest}"
    assert [line.split(",")[0] for line in lines[2:5]] == [
        "it is about final parameters",
        "it is about final state",
        "it is about model.safetensors",
    ]
    assert lines[5].startswith("there at the latest on ")
    assert lines[5].endswith("GMT")
    assert lines[6:] == ["the model model.safetensors is a subject of the envelope"]


def test_a_commitment_verifies(run: Run) -> None:
    found = run("commitment.dsse.json", SIGNER, "commitment.json")
    assert found.returncode == 0
    assert "the commitment at hand is the one that was signed" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("claim.dsse.json", "ed25519:" + "1" * 64, "claim.json"), "another signer"),
        (("copy.dsse.json", SIGNER, "claim.json"), "another signer"),
        (("renamed.dsse.json", SIGNER, "claim.json"), "the signature is not of"),
        (("changed.dsse.json", SIGNER, "claim.json"), "the signature is not of"),
        (("two.dsse.json", SIGNER, "claim.json"), "the envelope has another form"),
        (("claim.dsse.json", SIGNER, "another.json"), "another claim was signed"),
        (("commitment.dsse.json", SIGNER, "claim.json"), "another commitment was signed"),
        (("claim.dsse.json", SIGNER, "claim.json", "other.tsr", "roots.pem"), "the timestamp is over another file"),
        (
            ("claim.dsse.json", SIGNER, "claim.json", "claim.tsr", "foreign.pem"),
            "not of an authority under foreign.pem",
        ),
        (("claim.dsse.json", SIGNER, "claim.json", "-", "-", "other.safetensors"), "no subject of the envelope"),
    ],
)
def test_what_does_not_hold_is_said(run: Run, arguments: tuple[str, ...], problem: str) -> None:
    found = run(*arguments)
    assert found.returncode == 1
    assert found.stderr.startswith("NOT VERIFIED: ")
    assert problem in found.stderr


@pytest.fixture(scope="module")
def bundles(folder: Path) -> Path:
    """A bundle whose commitment names the signer, and wounded ones beside it."""
    commitment = canonical_bytes({"format": "pol-jax/2", "prover": SIGNER})
    digest = blake3(commitment, derive_key_context="pol-jax/2 commitment").hexdigest()
    claim = canonical_bytes({"commitment": digest, "format": "pol-jax/2"})
    digests, authority = digest_arrays({"a": np.ones(3, np.float32)}), Authority(folder / "of bundles")
    signed = attest_claim(claim, name_final(parameters=digests, state=digests), KEY)
    files = {
        "commitment.json": commitment,
        "claim.json": claim,
        "attestations/commitment.dsse.json": attest_commitment(commitment, KEY),
        "attestations/commitment.tsr": authority.answer(make_request(commitment)),
        "attestations/claim.dsse.json": signed,
        "attestations/claim.tsr": authority.answer(make_request(signed)),
    }
    thief = Ed25519PrivateKey.generate()
    wounds = {
        "bundle": {},
        "another commitment": {"commitment.json": commitment.replace(b"}", b',"z":1}')},
        "signed by a thief": {
            "attestations/claim.dsse.json": attest_claim(claim, name_final(parameters=digests, state=digests), thief)
        },
        "stamps swapped": {"attestations/commitment.tsr": files["attestations/claim.tsr"]},
        "another claim": {"claim.json": claim.replace(b"}", b',"z":1}')},
    }
    for name, changed in wounds.items():
        for file, content in (files | changed).items():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def run_bundle(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "verify-bundle.sh", *arguments], cwd=folder, capture_output=True, text=True)


def test_a_bundle_verifies(bundles: Path) -> None:
    found = run_bundle(bundles, "bundle", SIGNER, "of bundles/root.pem")
    assert (found.returncode, found.stderr) == (0, "")
    assert f"names {SIGNER}" in found.stdout.splitlines()[0]
    assert "the claim at hand is the one that was signed" in found.stdout
    assert found.stdout.splitlines()[-1].startswith("the commitment was there on ")
    assert run_bundle(bundles, "bundle", SIGNER).returncode == 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("another commitment", "is not the one that the claim names"),
        ("signed by a thief", "another signer"),
        ("stamps swapped", "the timestamp is over another commitment"),
        ("another claim", "another claim was signed"),
    ],
)
def test_a_wounded_bundle_is_not_verified(bundles: Path, name: str, problem: str) -> None:
    found = run_bundle(bundles, name, SIGNER, "of bundles/root.pem")
    assert found.returncode == 1
    assert problem in found.stderr
    assert run_bundle(bundles, name, "ed25519:" + "1" * 64).returncode == 1

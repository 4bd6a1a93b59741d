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
    (found,) = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (root / "verify-by-hand.sh").write_text(found)
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

"""Envelopes: a second implementation, several signatures, and bytes that change."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import needs
from signed_claims import ENVELOPE, KEY, THIEF, changed, read, with_signature_of

from pol_jax.attesting import envelope
from pol_jax.attesting.public_key import public_text
from pol_jax.errors import ProofError


def test_openssl_verifies_the_pre_authentication_encoding(tmp_path: Path) -> None:
    """Everything is taken from the envelope's JSON and the DSSE specification, nothing from the package."""
    needs("openssl")
    found = json.loads(ENVELOPE)
    payload, kind = base64.b64decode(found["payload"]), found["payloadType"]
    encoding = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    assert encoding == envelope.pre_authentication_encoding(payload)
    (tmp_path / "pae").write_bytes(encoding)
    (tmp_path / "sig").write_bytes(base64.b64decode(found["signatures"][0]["sig"]))
    for name, key in (("key", KEY), ("thief", THIEF)):
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / name).write_bytes(pem)

    def verifies(key: str) -> bool:
        call = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", "pae", "-sigfile", "sig"]
        return subprocess.run(call, cwd=tmp_path, capture_output=True).returncode == 0

    assert verifies("key")
    assert not verifies("thief")
    (tmp_path / "pae").write_bytes(encoding + b" ")
    assert not verifies("key")


def test_several_signatures_are_read_where_they_are_expected() -> None:
    both = changed(with_signature_of(THIEF))
    found = read(both, signatures=2, pinned=public_text(THIEF))
    assert found.signers == (public_text(KEY), public_text(THIEF))
    with pytest.raises(ProofError, match="expected exactly 2"):
        read(ENVELOPE, signatures=2)
    with pytest.raises(ProofError, match="two signatures are of one key"):
        read(changed(lambda e: e["signatures"].extend(e["signatures"])), signatures=2)

    def spoil(found: dict[str, Any]) -> None:
        with_signature_of(THIEF)(found)
        found["signatures"][1]["sig"] = found["signatures"][0]["sig"]

    with pytest.raises(ProofError, match="doesn't verify"):
        read(changed(spoil), signatures=2)


@settings(max_examples=150)
@given(at=st.integers(0, len(ENVELOPE) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(at: int, flip: int) -> None:
    content = bytearray(ENVELOPE)
    content[at] ^= flip
    with pytest.raises(ProofError):
        read(bytes(content))


@given(st.integers(0, len(ENVELOPE) - 1))
def test_a_truncated_envelope_is_refused(length: int) -> None:
    with pytest.raises(ProofError):
        read(ENVELOPE[:length])

"""Public keys: what names a signer, and the points that name nobody."""

from __future__ import annotations

from pathlib import Path

import ed25519_curve as curve
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.attesting.public_key import parse_public_text, public_text, read_signer
from pol_jax.errors import ProofError, UsageError

SPKI = PublicFormat.SubjectPublicKeyInfo


@given(st.binary(min_size=32, max_size=32))
def test_a_made_key_has_one_text(seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    text = public_text(key)
    assert parse_public_text(text, "a") == key.public_key().public_bytes_raw()
    assert read_signer(text) == read_signer(text.removeprefix("ed25519:")) == text == public_text(key.public_key())


def test_points_of_small_order_are_refused_and_they_are_all() -> None:
    small = curve.small_points()
    assert len(small) == 8
    points = [curve.decode(raw) for raw in small]
    assert all(point is not None and curve.order_divides_8(point) for point in points)
    for raw in small:
        with pytest.raises(ProofError, match="small order"):
            parse_public_text(f"ed25519:{raw.hex()}", "a")
        with pytest.raises(UsageError, match="small order"):
            read_signer(raw.hex())


@given(st.integers(0, 2**256 - 1))
def test_only_canonical_points_of_the_curve_are_taken(number: int) -> None:
    raw = number.to_bytes(32, "little")
    point = curve.decode(raw)
    good = point is not None and curve.encode(point) == raw and not curve.order_divides_8(point)
    if good:
        assert parse_public_text(f"ed25519:{raw.hex()}", "a") == raw
    else:
        with pytest.raises(ProofError):
            parse_public_text(f"ed25519:{raw.hex()}", "a")


@pytest.mark.parametrize("number", [2**255 - 19 + y for y in range(19)] + [2**256 - 1, 1 + 2**255, 2**256 - 20])
def test_a_second_spelling_of_a_point_is_refused(number: int) -> None:
    with pytest.raises(ProofError, match="canonical"):
        parse_public_text(f"ed25519:{number.to_bytes(32, 'little').hex()}", "a")


@pytest.mark.parametrize("text", ["", "ed25519:", "ed25519:" + "0" * 63, "ED25519:" + "1" * 64, "ed25519:" + "A" * 64])
def test_a_truncated_or_strange_text_is_refused(text: str) -> None:
    with pytest.raises(ProofError, match="64 hex digits"):
        parse_public_text(text, "a")


def test_a_signer_is_read_from_files(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, SPKI))
    (tmp_path / "text").write_text(public_text(key) + "\n")
    assert read_signer(str(tmp_path / "pem")) == read_signer(str(tmp_path / "text")) == public_text(key)


def test_what_is_no_signer_is_one_clear_line(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    wrong = {
        "private": (private, "this is a private key"),
        "truncated": (key.public_key().public_bytes(Encoding.PEM, SPKI)[:60], "no public key in it"),
        "empty": (b"", "no public key in it"),
        "long": (b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 2**20, "no public key in it"),
        "ecdsa": (
            generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, SPKI),
            "expected an Ed25519 public key",
        ),
    }
    for name, (content, problem) in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=problem) as raised:
            read_signer(str(tmp_path / name))
        assert "\n" not in str(raised.value)
        assert private.splitlines()[1].decode() not in str(raised.value)
    with pytest.raises(UsageError, match="neither a public key"):
        read_signer(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="neither a public key"):
        read_signer("a\0b")

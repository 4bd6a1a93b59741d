"""Beacons: published rounds of drand, rounds of chains made here with another library, and what is refused."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pol_jax.attesting.beacon import verify_committed_round, verify_round
from pol_jax.attesting.chains import MAINNET, QUICKNET, Chain
from pol_jax.attesting.time_window import CLOCK_SLACK
from pol_jax.errors import ProofError

NOW = datetime(2026, 1, 1, tzinfo=UTC)

VECTORS = Path(__file__).parent / "vectors" / "drand_published.json"
PUBLISHED: list[tuple[Chain, dict[str, Any]]] = [
    ({"default": MAINNET, "quicknet": QUICKNET}[vector["chain"]], vector["round"])
    for vector in json.loads(VECTORS.read_text())
]
"""As the League of Entropy published them."""

CHAINED, UNCHAINED = PUBLISHED[1][1], PUBLISHED[2][1]

SHA256: Any = hashlib.sha256  # what py_ecc calls a hash is the object that this makes
NUMBER: Any = int  # and a compressed point is a number that it names otherwise

SECRET = 0x1F2E3D4C5B6A79880123456789ABCDEF


def made_chain(scheme: Any, secret: int = SECRET) -> Chain:
    """A chain of one member, by py_ecc."""
    from second_bls import G1, G2, G1_to_pubkey, G2_to_signature, multiply  # takes half a second to import

    on_g1 = scheme == "bls-unchained-g1-rfc9380"
    key = G2_to_signature(multiply(G2, secret)) if on_g1 else G1_to_pubkey(multiply(G1, secret))
    return Chain(bytes(key), 10, 1_700_000_000, bytes(range(32)), scheme, "tests")


def made_round(chain: Chain, number: int, previous: bytes = b"", secret: int = SECRET) -> bytes:
    from second_bls import G1_to_pubkey, G2_to_signature, hash_to_G1, hash_to_G2, multiply

    message = hashlib.sha256(previous + number.to_bytes(8, "big")).digest()
    if chain.scheme == "bls-unchained-g1-rfc9380":
        tag = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
        signature = bytes(G1_to_pubkey(multiply(hash_to_G1(message, tag, SHA256), secret)))
    else:
        tag = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_"
        signature = bytes(G2_to_signature(multiply(hash_to_G2(message, tag, SHA256), secret)))
    found = {"round": number, "randomness": hashlib.sha256(signature).hexdigest(), "signature": signature.hex()}
    if chain.scheme == "pedersen-bls-chained":
        found["previous_signature"] = previous.hex()
    return json.dumps(found).encode()


@pytest.mark.parametrize(("chain", "published"), PUBLISHED)
def test_published_rounds_verify(chain: Chain, published: dict[str, Any]) -> None:
    found = verify_round(json.dumps(published, indent=1).encode(), chain, now=NOW, where="beacon.json")
    assert (found.number, found.randomness) == (published["round"], published["randomness"])
    assert found.time == datetime.fromtimestamp(chain.genesis_time, UTC) + timedelta(
        seconds=(published["round"] - 1) * chain.period
    )
    assert verify_committed_round(found.text(), json.dumps(published).encode(), now=NOW, where="b") == found
    assert len(found.text()) <= 256, "a commitment's beacon is text of at most 256"
    assert f"{found.time:%Y-%m-%d}" in found.describe()


@pytest.mark.parametrize("scheme", ["pedersen-bls-chained", "pedersen-bls-unchained", "bls-unchained-g1-rfc9380"])
def test_rounds_that_another_library_signed_verify(scheme: Any) -> None:
    chain = made_chain(scheme)
    content = made_round(chain, 7, b"the one before" if scheme == "pedersen-bls-chained" else b"")
    found = verify_round(content, chain, now=NOW, where="b")
    assert found.time == datetime.fromtimestamp(1_700_000_060, UTC)
    with pytest.raises(ProofError, match="not signed by drand chain"):
        verify_round(content, made_chain(scheme, SECRET + 1), now=NOW, where="b")


def changed(found: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(found | changes).encode()


def with_signature(signature: bytes) -> bytes:
    return changed(UNCHAINED, signature=signature.hex(), randomness=hashlib.sha256(signature).hexdigest())


OUTSIDE_THE_SUBGROUP = (4 | 1 << 383).to_bytes(48, "big")
"""A point of the curve of G1 whose order isn't the group's."""


WOUNDS: dict[str, tuple[Chain, bytes, str]] = {
    "not JSON": (QUICKNET, b"round 1000", "not JSON"),
    "too large": (QUICKNET, b" " * 5000, "expected at most"),
    "a field twice": (QUICKNET, b'{"round":1,"round":2}', "twice"),
    "a field missing": (QUICKNET, b'{"round":1}', "missing"),
    "a field unknown": (QUICKNET, changed(UNCHAINED, more=1), "unknown"),
    "a previous signature where there is none": (QUICKNET, changed(UNCHAINED, previous_signature=""), "unknown"),
    "no previous signature where there is one": (MAINNET, changed(UNCHAINED), "missing"),
    "another previous signature": (MAINNET, changed(CHAINED, previous_signature="00"), "not signed"),
    "round 0": (QUICKNET, changed(UNCHAINED, round=0), "expected an integer"),
    "round true": (QUICKNET, changed(UNCHAINED, round=True), "expected an integer"),
    "round 1000.0": (QUICKNET, changed(UNCHAINED, round=1000.0), "expected an integer"),
    "round as text": (QUICKNET, changed(UNCHAINED, round="1000"), "expected an integer"),
    "a round beyond time": (QUICKNET, changed(UNCHAINED, round=10**30), "expected an integer"),
    "another round": (QUICKNET, changed(UNCHAINED, round=1001), "not signed"),
    "other randomness": (QUICKNET, changed(UNCHAINED, randomness="0" * 64), "SHA-256 of the signature"),
    "a short signature": (QUICKNET, changed(UNCHAINED, signature="ab"), "96 lower-case hex digits"),
    "a signature in capitals": (QUICKNET, changed(UNCHAINED, signature=UNCHAINED["signature"].upper()), "hex digits"),
    "a signature that is a number": (QUICKNET, changed(UNCHAINED, signature=5), "hex digits"),
    "a signature that is no point": (QUICKNET, with_signature(bytes(47) + b"\1"), "no point"),
    "the point at infinity": (QUICKNET, with_signature(b"\xc0" + bytes(47)), "no point"),
    "infinity, spelt otherwise": (QUICKNET, with_signature(b"\xff" * 48), "no point"),
    "a point outside the subgroup": (QUICKNET, with_signature(OUTSIDE_THE_SUBGROUP), "no point"),
    "of another chain": (MAINNET, changed(CHAINED, **UNCHAINED), "192 lower-case hex digits"),
}


@pytest.mark.parametrize("name", WOUNDS)
def test_a_bad_round_is_refused_in_one_line(name: str) -> None:
    chain, content, problem = WOUNDS[name]
    with pytest.raises(ProofError, match=problem) as raised:
        verify_round(content, chain, now=NOW, where="beacon.json")
    assert str(raised.value).isprintable()


def test_the_point_outside_the_subgroup_is_one_of_the_curve() -> None:
    from second_bls import curve_order, decompress_G1, is_inf, multiply

    point = decompress_G1(NUMBER(int.from_bytes(OUTSIDE_THE_SUBGROUP, "big")))
    assert not is_inf(multiply(point, curve_order))


def test_a_chain_whose_key_is_infinity_signs_nothing() -> None:
    """With such a key the point at infinity would be a signature of everything."""
    nobody = Chain(b"\xc0" + bytes(95), 3, 1_700_000_000, bytes(32), "bls-unchained-g1-rfc9380", "nobody")
    with pytest.raises(ProofError, match="public key is no point"):
        verify_round(json.dumps(UNCHAINED).encode(), nobody, now=NOW, where="b")


def test_a_round_of_the_future_is_refused() -> None:
    content = json.dumps(UNCHAINED).encode()
    came_out = QUICKNET.time_of(1000)
    assert came_out is not None
    verify_round(content, QUICKNET, now=came_out - CLOCK_SLACK, where="b")
    with pytest.raises(ProofError, match="in the future of this clock"):
        verify_round(content, QUICKNET, now=came_out - CLOCK_SLACK - timedelta(seconds=1), where="b")


def test_a_commitment_names_one_round_of_one_chain() -> None:
    content = json.dumps(UNCHAINED).encode()
    text = verify_round(content, QUICKNET, now=NOW, where="b").text()
    for other, problem in (
        (text.replace(":1000:", ":1001:"), "the commitment names"),
        (text[:-1] + "0", "the commitment names"),
        (text.replace(QUICKNET.hash, "0" * 64), "of the chain"),
        (text.replace(QUICKNET.hash, MAINNET.hash), "missing"),
        (text + "\n", "expected drand:CHAIN:ROUND:RANDOMNESS"),
        ("the headline of a newspaper", "expected drand:CHAIN:ROUND:RANDOMNESS"),
    ):
        with pytest.raises(ProofError, match=problem):
            verify_committed_round(other, content, now=NOW, where="b")
    with pytest.raises(ProofError, match="of the chain"):
        verify_committed_round(text, content, now=NOW, where="b", chains=(MAINNET,))

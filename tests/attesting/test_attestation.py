"""Attestations: signed by one, read by securesystemslib, openssl and this package; hostile ones refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import ml_dtypes
import pytest
from signed_claims import ARRAYS, CLAIM, ENVELOPE, KEY, SUBJECTS, THIEF, changed, read, with_signature_of

from pol_jax.attesting import envelope
from pol_jax.attesting.attestation import (
    attest_claim,
    attest_commitment,
    check_document,
    names_prover,
)
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.public_key import public_text
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.attesting.subjects import PARAMETERS, Subject
from pol_jax.errors import ProofError, UsageError

BFLOAT16 = ml_dtypes.bfloat16
COMMITMENT = canonical_bytes({"format": "pol-jax/1", "prover": public_text(KEY)})


def test_what_was_signed_is_read_back() -> None:
    found = read(ENVELOPE, pinned=public_text(KEY))
    assert (found.document, found.subjects, found.signers) == (CLAIM, SUBJECTS, (public_text(KEY),))
    assert found.digests_of(PARAMETERS) == digest_arrays(ARRAYS)
    assert found.digests_of("another") is None
    assert "the signer that was asked for" in found.describe()
    assert attest_claim(CLAIM, SUBJECTS, KEY) == ENVELOPE, "Ed25519 is deterministic: signing again gives the same"


def test_an_unpinned_signer_is_said_to_be_so() -> None:
    found = read(ENVELOPE)
    assert found.pinned is None
    assert "no signer was asked for" in found.describe()


def test_another_signer_than_the_pinned_is_refused() -> None:
    with pytest.raises(ProofError, match=f"expected the signer {public_text(THIEF)}"):
        read(ENVELOPE, pinned=public_text(THIEF))


def test_a_copy_signed_by_a_thief_is_not_the_committed_prover() -> None:
    copy = read(attest_claim(CLAIM, SUBJECTS, THIEF))
    with pytest.raises(ProofError, match="the prover whom the commitment names"):
        names_prover(copy, public_text(KEY), "claim.dsse.json")
    assert names_prover(read(ENVELOPE), public_text(KEY), "claim.dsse.json")
    assert not names_prover(copy, None, "claim.dsse.json"), "a commitment that names nobody binds nobody"


def test_a_commitment_is_signed_before_there_is_a_model() -> None:
    content = attest_commitment(COMMITMENT, KEY)
    found = read(content, kind="commitment")
    assert (found.document, [subject.name for subject in found.subjects]) == (COMMITMENT, ["commitment.json"])
    with pytest.raises(ProofError, match="predicateType"):
        read(content)
    with pytest.raises(ProofError, match="predicateType"):
        read(ENVELOPE, kind="commitment")


def test_an_envelope_of_another_document_is_refused() -> None:
    check_document(read(ENVELOPE), CLAIM, "claim.json")
    with pytest.raises(ProofError, match="another claim"):
        check_document(read(ENVELOPE), canonical_bytes({"steps": 301}), "claim.json")


def test_a_pace_is_signed_with_the_claim() -> None:
    assert read(ENVELOPE).seconds_per_step is None
    assert read(attest_claim(CLAIM, SUBJECTS, KEY, 0.25)).seconds_per_step == 0.25
    for pace in (0.0, -1.0, float("nan"), float("inf"), 2e9):
        with pytest.raises(UsageError, match="seconds a step"):
            attest_claim(CLAIM, SUBJECTS, KEY, pace)


def test_a_claim_is_not_signed_without_its_subjects() -> None:
    digests = digest_arrays(ARRAYS)
    for subjects in ([], SUBJECTS[:1], [*SUBJECTS, Subject(PARAMETERS, digests)]):
        with pytest.raises(UsageError, match="subjects"):
            attest_claim(CLAIM, subjects, KEY)
    with pytest.raises(ProofError, match="canonical"):
        attest_claim(b'{ "steps": 300 }', SUBJECTS, KEY)


# --- hostile envelopes -------------------------------------------------------------------------------------------


def resigned(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """An envelope whose signature is right, over a changed statement."""
    statement = json.loads(base64.b64decode(json.loads(ENVELOPE)["payload"]))
    change(statement)
    return envelope.sign(canonical_bytes(statement), KEY)


WOUNDS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not JSON"),
    "a list": (b"[]", "expected an object"),
    "no UTF-8": (b'{"\xff":1}', "not UTF-8"),
    "spaces": (ENVELOPE.replace(b'","', b'", "', 1), "not canonical"),
    "a final newline": (ENVELOPE + b"\n", "not canonical"),
    "a field twice": (ENVELOPE.replace(b'{"payload"', b'{"payload":"","payload"', 1), "occurs twice"),
    "deep": (b'{"a":' * 40 + b"1" + b"}" * 40, "nested deeper"),
    "very deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
    "deep behind brackets in a string": (
        b'{"a":"' + b"]" * 90 + b'","b":' + b"[" * 40 + b"]" * 40 + b"}",
        "nested deeper",
    ),
    "deep behind an escaped quote": (b'{"\\"]]]]":' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper"),
    "too large": (b" " * (envelope.MAX_BYTES + 1), "expected at most"),
    "NaN": (b'{"a":NaN}', "no JSON number"),
    "a long number": (b'{"a":' + b"9" * 5000 + b"}", "limit"),
    "half a surrogate": (b'{"\\ud800":1}', "not canonical"),
    "an unknown field": (changed(lambda e: e.update(more=1)), "unknown"),
    "a missing field": (changed(lambda e: e.pop("payload")), "missing"),
    "another payload type": (changed(lambda e: e.update(payloadType="text/plain")), "payloadType"),
    "a payload type that is no text": (changed(lambda e: e.update(payloadType=["x"])), "payloadType"),
    "a payload that is no text": (changed(lambda e: e.update(payload=1)), "base64"),
    "URL-safe base64": (changed(lambda e: e.update(payload="__--")), "base64"),
    "base64 without padding": (changed(lambda e: e.update(payload="YQ")), "base64"),
    "base64 with loose bits": (changed(lambda e: e.update(payload="YR==")), "base64"),
    "base64 beyond ASCII": (changed(lambda e: e.update(payload="é===")), "base64"),
    "no signature": (changed(lambda e: e.update(signatures=[])), "got 0 signatures"),
    "two signatures": (changed(with_signature_of(THIEF)), "got 2 signatures"),
    "signatures that are no list": (changed(lambda e: e.update(signatures={})), "no list"),
    "a signature that is no object": (changed(lambda e: e.update(signatures=[1])), "expected an object"),
    "a signature with more": (changed(lambda e: e["signatures"][0].update(cert="x")), "unknown"),
    "a keyid that is no text": (changed(lambda e: e["signatures"][0].update(keyid=1)), "64 hex digits"),
    "a keyid of small order": (
        changed(lambda e: e["signatures"][0].update(keyid="ed25519:01" + "0" * 62)),
        "small order",
    ),
    "a keyid of another": (changed(lambda e: e["signatures"][0].update(keyid=public_text(THIEF))), "doesn't verify"),
    "a short signature": (changed(lambda e: e["signatures"][0].update(sig="YQ==")), "got 1 bytes"),
    "a signature of zeros": (
        changed(lambda e: e["signatures"][0].update(sig=base64.b64encode(bytes(64)).decode())),
        "doesn't verify",
    ),
    "another payload": (changed(lambda e: e.update(payload="e30=")), "doesn't verify"),
    "a payload that is no JSON": (envelope.sign(b"hello", KEY), "not JSON"),
    "a payload with spaces": (envelope.sign(b'{ "a": 1}', KEY), "not canonical"),
    "another statement type": (resigned(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")), "_type"),
    "another predicate type": (resigned(lambda s: s.update(predicateType="urn:pol-jax:1:clai")), "predicateType"),
    "a predicate that is no object": (resigned(lambda s: s.update(predicate=[])), "predicate"),
    "more in the predicate": (resigned(lambda s: s["predicate"].update(more=1)), "unknown"),
    "a predicate without its claim": (resigned(lambda s: s["predicate"].pop("claim")), "missing"),
    "a claim that is no object": (resigned(lambda s: s["predicate"].update(claim=1)), "an object"),
    "a pace that is a boolean": (resigned(lambda s: s["predicate"].update(seconds_per_step=True)), "seconds_per_step"),
    "a pace of nothing": (resigned(lambda s: s["predicate"].update(seconds_per_step=0)), "seconds_per_step"),
    "a pace that is text": (resigned(lambda s: s["predicate"].update(seconds_per_step="1")), "seconds_per_step"),
    "more in the statement": (resigned(lambda s: s.update(more=1)), "unknown"),
    "no subject": (resigned(lambda s: s.update(subject=[])), "subject"),
    "a subject twice": (resigned(lambda s: s["subject"].append(s["subject"][0])), "one name"),
    "a subject of one digest": (resigned(lambda s: s["subject"][0]["digest"].pop("blake3")), "blake3 and sha256"),
    "a subject with a third digest": (resigned(lambda s: s["subject"][0]["digest"].update(md5="a")), "nothing else"),
    "a digest in capitals": (resigned(lambda s: s["subject"][0]["digest"].update(blake3="A" * 64)), "64 hex"),
    "a digest that is no text": (resigned(lambda s: s["subject"][0]["digest"].update(blake3=1)), "64 hex"),
    "a subject without name": (resigned(lambda s: s["subject"][0].update(name="")), "name"),
    "a subject with a control character": (resigned(lambda s: s["subject"][0].update(name="a\n")), "name"),
    "a subject that is no object": (resigned(lambda s: s.update(subject=[1])), "expected name and digest"),
    "parameters left out": (resigned(lambda s: s["subject"].pop(0)), "final parameters"),
    "a commitment's subject swapped": (
        envelope.sign(
            canonical_bytes(
                {
                    "_type": "https://in-toto.io/Statement/v1",
                    "predicate": {"commitment": {}},
                    "predicateType": "https://pol_jax/commitment/v1",
                    "subject": [{"digest": {"blake3": "0" * 64, "sha256": "0" * 64}, "name": "commitment.json"}],
                }
            ),
            KEY,
        ),
        "signed commitment",
    ),
}


@pytest.mark.parametrize("name", WOUNDS)
def test_a_hostile_envelope_is_refused_in_one_line(name: str) -> None:
    content, problem = WOUNDS[name]
    with pytest.raises(ProofError, match=problem) as raised:
        read(content, kind="commitment" if name.startswith("a commitment") else "claim")
    text = str(raised.value)
    assert text.startswith("claim.dsse.json: ")
    assert text.isprintable()
    assert len(text) < 700

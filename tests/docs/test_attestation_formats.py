"""The formats of attestations, held by stored vectors and by an implementation from the document alone."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import ed25519_curve as curve
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "attesting" / "vectors"


def stored(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())
    return found


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vectors", ROOT / "scripts" / "make_attestation_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stored_vectors_and_the_document_are_those_of_today(script: ModuleType) -> None:
    differing = [path.name for path, text in script.outputs().items() if path.read_text() != text]
    assert not differing, "a format changed: change the document and its version first, then run the script"


# --- from docs/attestation.md alone ------------------------------------------------------------------------------


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


@pytest.mark.parametrize("vector", stored("public_keys"), ids=lambda vector: vector["name"])
def test_section_1_public_keys(vector: dict[str, Any]) -> None:
    prefix, _, digits = vector["text"].partition(":")
    good = prefix == "ed25519" and digits == digits.lower() and len(digits) == 64
    if good:
        raw = bytes.fromhex(digits)
        point = curve.decode(raw)
        good = point is not None and curve.encode(point) == raw and not curve.order_divides_8(point)
    assert good == vector["accepted"]


def test_section_2_arrays() -> None:
    (vector,) = stored("arrays")
    stream = b"pol-jax/1 arrays\n" + u64(len(vector["arrays"]))
    for array in sorted(vector["arrays"], key=lambda one: one["name"].encode()):
        for text in (array["name"], array["dtype"]):
            stream += u64(len(text.encode())) + text.encode()
        stream += u64(len(array["shape"])) + b"".join(map(u64, array["shape"])) + bytes.fromhex(array["bytes"])
    assert stream.hex() == vector["stream"]
    assert blake3(stream).hexdigest() == vector["blake3"]
    assert hashlib.sha256(stream).hexdigest() == vector["sha256"]


def canonical(value: Any) -> bytes:
    """Enough of RFC 8785 for the vectors: ASCII names, integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def envelope_problem(text: str, kind: str) -> str | None:
    """Sections 3 and 4: what is wrong with an envelope, or None."""
    found = json.loads(text)
    if canonical(found) != text.encode() or found.keys() != {"payload", "payloadType", "signatures"}:
        return "the frame"
    if found["payloadType"] != "application/vnd.in-toto+json" or len(found["signatures"]) != 1:
        return "type or signatures"
    payload, signature = base64.b64decode(found["payload"]), found["signatures"][0]
    name = found["payloadType"].encode()
    signed = b" ".join([b"DSSEv1", str(len(name)).encode(), name, str(len(payload)).encode(), payload])
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature["keyid"].removeprefix("ed25519:")))
    key.verify(base64.b64decode(signature["sig"]), signed)  # raises
    statement = json.loads(payload)
    if canonical(statement) != payload or statement.keys() != {"_type", "predicate", "predicateType", "subject"}:
        return "the statement"
    if (
        statement["_type"] != "https://in-toto.io/Statement/v1"
        or statement["predicateType"] != f"https://pol_jax/{kind}/v1"
    ):
        return "its type"
    if statement["predicate"].keys() != ({"claim", "seconds_per_step"} if kind == "claim" else {"commitment"}):
        return "the predicate"
    subjects = {subject["name"]: subject["digest"] for subject in statement["subject"]}
    if kind == "claim":
        return None if {"final parameters", "final state"} <= subjects.keys() else "subjects"
    document = canonical(statement["predicate"][kind])
    digests = {"blake3": blake3(document).hexdigest(), "sha256": hashlib.sha256(document).hexdigest()}
    return None if subjects == {"commitment.json": digests} else "subjects"


@pytest.mark.parametrize("vector", stored("envelopes"), ids=lambda vector: vector["name"])
def test_sections_3_and_4_envelopes(vector: dict[str, Any]) -> None:
    try:
        problem = envelope_problem(vector["envelope"], vector["kind"])
    except ValueError:
        problem = "JSON"
    assert (problem is None) == vector["accepted"], problem


def test_section_5_a_kept_token_holds_for_ever(script: ModuleType) -> None:
    (vector,) = stored("timestamps")
    assert script.read_timestamp(vector["kept"]) == vector["says"]
    digest = hashlib.sha256(vector["kept"]["message"].encode()).digest()
    assert digest in base64.b64decode(vector["kept"]["response"])


def test_section_6_the_text_of_a_round() -> None:
    published = stored("drand_published")
    for vector, one in zip(stored("beacons"), published, strict=True):
        drand, chain, number, randomness = vector["text"].split(":")
        assert (drand, int(number), randomness) == ("drand", one["round"]["round"], one["round"]["randomness"])
        assert hashlib.sha256(bytes.fromhex(one["round"]["signature"])).hexdigest() == randomness
        assert len(chain) == 64


def test_section_7_a_kept_age_file_holds_for_ever(script: ModuleType) -> None:
    (vector,) = stored("age_files")
    assert script.read_age_file(vector["kept"]) == vector["says"]
    assert vector["says"]["files"] == stored("archives")[0]["files"]


def header(name: str, size: int) -> bytes:
    """Section 7, from the description of GNU tar's header alone."""
    long = b""
    if len(name) > 100:
        body = name.encode() + b"\0"
        long = block("././@LongLink", len(body), b"L", mode=0) + body + bytes(-len(body) % 512)
    return long + block(name[:100], size, b"0")


def block(name: str, size: int, kind: bytes, mode: int = 0o644) -> bytes:
    def octal(value: int, width: int) -> bytes:
        return f"{value:0{width - 1}o}".encode() + b"\0"

    fields = [
        name.encode().ljust(100, b"\0"),
        octal(mode, 8) + octal(0, 8) + octal(0, 8) + octal(size, 12) + octal(0, 12),
        b" " * 8 + kind + bytes(100) + b"ustar  \0",
    ]
    content = b"".join(fields).ljust(512, b"\0")
    checksum = f"{sum(content):06o}".encode() + b"\0 "
    return content[:148] + checksum + content[156:]


def test_section_7_the_form_of_an_archive(script: ModuleType, tmp_path: Path) -> None:
    (vector,) = stored("archives")
    content = b""
    for name in sorted(vector["files"]):
        data = vector["files"][name].encode()
        content += header(name, len(data)) + data + bytes(-len(data) % 512)
    content += bytes(1024)
    assert len(content) == vector["size"]
    assert hashlib.sha256(content).hexdigest() == vector["sha256"]
    (tmp_path / "tar").write_bytes(content)
    with tarfile.open(tmp_path / "tar") as archive:
        assert archive.getnames() == sorted(vector["files"])

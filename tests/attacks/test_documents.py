"""Attacks by hostile documents: every wrong field and every other spelling is refused (stages 1 to 3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import check, drop, put
from forge import edit_document, refused, take_stock

Spelling = Callable[[bytes], bytes]


EDITS: list[tuple[str, Callable[[Any], None], str]] = [
    ("claim.json", put("format", value="pol-jax/3"), "$.format"),
    ("claim.json", put("format", value="pol-jax/1"), "environments: is no field of pol-jax/1"),
    ("claim.json", put("extra", value=1), "extra"),
    ("claim.json", drop("steps"), "steps"),
    ("claim.json", put("steps", value=0), "$.steps"),
    ("claim.json", put("steps", value=-1), "$.steps"),
    ("claim.json", put("steps", value=2**32), "$.steps"),
    ("claim.json", put("steps", value=1.5), "$.steps"),
    ("claim.json", put("steps", value="24"), "$.steps"),
    ("claim.json", put("steps", value=True), "$.steps"),
    ("claim.json", put("steps", value=None), "$.steps"),
    ("claim.json", put("ledger_root", value="AB" * 32), "$.ledger_root"),
    ("claim.json", put("ledger_root", value="ab" * 32 + "\n"), "$.ledger_root"),
    ("claim.json", put("final_state", value="ab" * 31), "$.final_state"),
    ("claim.json", put("commitment", value=["ab" * 32]), "$.commitment"),
    ("claim.json", put("environment", value={}), "environment"),
    ("claim.json", put("environments", 0, "environment", "cpu", value="x" * 1025), "environment.cpu"),
    ("claim.json", put("environments", 0, "environment", "device_count", value="8"), "environment.device_count"),
    ("claim.json", put("environments", 0, "environment", "xla_flags", value="--x"), "environment.xla_flags"),
    ("claim.json", put("environments", 0, "environment", "\x1b[2J", value=1), "\\x1b[2J"),
    ("inventory.json", put("format", value="x"), "$.format"),
    ("inventory.json", put("files", value=[]), "$.files"),
    (
        "inventory.json",
        put("files", "../../etc/passwd", value={"size": 1, "digest": "ab" * 32}),
        "files: '../../etc/passwd'",
    ),
    ("inventory.json", put("files", "/etc/passwd", value={"size": 1, "digest": "ab" * 32}), "files: '/etc/passwd'"),
    ("inventory.json", put("files", "inventory.json", value={"size": 1, "digest": "ab" * 32}), "no place in an inv"),
    ("inventory.json", drop("files", "records"), "records: is not in the inventory"),
    ("inventory.json", put("files", "records", "size", value=-1), "$.files[...].size"),
    ("inventory.json", put("files", "records", "size", value="1280"), "Expected `int`"),
    ("inventory.json", put("files", "records", "digest", value="ab" * 32), "records: differs"),
    ("commitment.json", put("format", value="pol-jax/0"), "$.format"),
    ("commitment.json", put("extra", value=1), "extra"),
    ("commitment.json", drop("beacon"), "beacon"),
    ("commitment.json", put("nonce", value="x" * 257), "$.nonce"),
    ("commitment.json", put("nonce", value=7), "$.nonce"),
    ("commitment.json", put("prover", value="ed25519:short"), "$.prover"),
    ("commitment.json", put("program", "metrics", value=["norm", "loss"]), "program.metrics"),
    ("commitment.json", put("program", "metrics", value=["norm"]), "program.metrics"),
    ("commitment.json", put("program", "metrics", value=["loss", "loss"]), "program.metrics"),
    ("commitment.json", put("program", "init", value="../init"), "$.program.init"),
    ("commitment.json", put("state", value=[]), "state: is empty"),
    ("commitment.json", put("state", 0, "dtype", value="object"), "state[0].dtype"),
    ("commitment.json", put("state", 0, "dtype", value="O"), "state[0].dtype"),
    ("commitment.json", put("state", 0, "shape", value=[2**48]), "state[0].shape"),
    ("commitment.json", put("state", 0, "shape", value=[-1]), "state[0].shape"),
    ("commitment.json", put("state", 0, "shape", value=[2**40, 2**40]), "state[0].shape"),
    ("commitment.json", put("state", 0, "shape", value=[1] * 33), "state[0].shape"),
    ("commitment.json", put("state", 0, "path", value="count"), "state[0].path"),
    ("commitment.json", put("state", 0, "path", value="/a~2"), "state[0].path"),
    ("commitment.json", put("state", 0, "path", value="/params"), "/params"),
    ("commitment.json", put("state", 0, "path", value="/params/w"), "two leaves have the same path"),
    ("commitment.json", put("state", 0, "pieces", value=[1]), "state[0].pieces"),
    ("commitment.json", put("state", 2, "pieces", value=[3, 1]), "state[2].pieces"),
    ("commitment.json", put("state", 2, "pieces", value=[0, 1]), "state[2].pieces"),
    ("commitment.json", put("state", 0, "prng", value="threefry2x32"), "state[0].prng"),
    ("commitment.json", put("state", 1, "prng", value="mine"), "state[1].prng"),
    ("commitment.json", put("data", "records", value=0), "$.data.records"),
    ("commitment.json", put("data", "records", value=2**49), "$.data.records"),
    ("commitment.json", put("data", "record", value=[]), "data.record: is empty"),
    ("commitment.json", put("data", "salted", value=0), "$.data.salted"),
    ("commitment.json", put("schedule", "batch_size", value=0), "$.schedule.batch_size"),
    ("commitment.json", put("schedule", "batch_size", value=2**20 + 1), "$.schedule.batch_size"),
    ("commitment.json", put("schedule", "interval", value=0), "$.schedule.interval"),
    ("commitment.json", put("schedule", "witness_interval", value=0), "$.schedule.witness_interval"),
    ("commitment.json", put("schedule", "order", value="sorted"), "$.schedule.order"),
    ("commitment.json", put("schedule", "prng", value="mine"), "$.schedule.prng"),
    ("commitment.json", put("initial", "origin", value="file"), "$.initial.origin"),
    ("commitment.json", put("task", "hyperparameters", "layers", value=[1]), "$.task.hyperparameters"),
]


@pytest.mark.parametrize(("name", "change", "field"), EDITS, ids=[f"{n}-{f}" for n, _, f in EDITS])
def test_document_with_a_wrong_field(proof_copy: Path, name: str, change: Callable[[Any], None], field: str) -> None:
    edit_document(proof_copy, name, change)
    refused(check(proof_copy), 3 if name == "commitment.json" else 2, field)


def again(content: bytes) -> bytes:
    """A field twice, with the values of an honest and of another document."""
    return content.replace(b'"format":"pol-jax/2"', b'"format":"pol-jax/1","format":"pol-jax/2"')


SPELLINGS: list[tuple[str, Spelling, str]] = [
    ("field twice", again, "'format' occurs twice"),
    ("space", lambda c: c.replace(b":", b": ", 1), "not canonical"),
    ("newline", lambda c: c + b"\n", "not canonical"),
    (
        "other order",
        lambda c: json.dumps(dict(reversed(json.loads(c).items())), separators=(",", ":")).encode(),
        "canon",
    ),
    ("escaped", lambda c: c.replace(b'"format"', b'"\\u0066ormat"'), "not canonical"),
    ("not a number", lambda c: c.replace(b'"pol-jax/2"', b"NaN"), "NaN is no JSON number"),
    ("infinite", lambda c: c.replace(b'"pol-jax/2"', b"-Infinity"), "-Infinity is no JSON number"),
    ("overflow", lambda c: c.replace(b'"pol-jax/2"', b"1e999"), "not canonical"),
    ("many digits", lambda c: c.replace(b'"pol-jax/2"', b"9" * 5000), "digits"),
    ("beyond 2^53", lambda c: c.replace(b'"pol-jax/2"', b"9007199254740993"), "not canonical"),
    ("minus zero", lambda c: c.replace(b'"pol-jax/2"', b"-0"), "not canonical"),
    ("float for int", lambda c: c.replace(b'"pol-jax/2"', b"1.0"), "not canonical"),
    ("deep", lambda c: c.replace(b'"pol-jax/2"', b"[" * 10**6 + b"]" * 10**6), "nested deeper than 16"),
    ("half open", lambda c: b"[" * 10**6, "nested deeper than 16"),
    (
        "hidden depth",
        lambda c: c.replace(b'"pol-jax/2"', b'"' + b"]" * 99 + b'",' + b"[" * 99),
        "nested deeper than 16",
    ),
    ("half a pair", lambda c: c.replace(b'"pol-jax/2"', b'"\\ud800"'), "not canonical"),
    ("half a pair in a key", lambda c: c.replace(b'"format"', b'"\\ud800"'), "not canonical"),
    ("mark", lambda c: b"\xef\xbb\xbf" + c, "not JSON"),
    ("UTF-16", lambda c: c.decode().encode("utf-16"), "not UTF-8"),
    ("Latin-1", lambda c: c.replace(b"pol-jax", b"p\xf6l-jax"), "is not UTF-8 at byte"),
    ("zero byte", lambda c: c.replace(b"pol-jax", b"pol\0jax"), "not JSON"),
    ("cut", lambda c: c[:-1], "not JSON"),
    ("two", lambda c: c + c, "not JSON"),
    ("list", lambda c: b"[]", "Expected `object`"),
    ("null", lambda c: b"null", "Expected `object`"),
    ("nothing", lambda c: b"", "not JSON"),
    ("text", lambda c: b"hello", "not JSON"),
]


@pytest.mark.parametrize("name", ["claim.json", "commitment.json", "inventory.json"])
@pytest.mark.parametrize(("spelling", "problem"), [each[1:] for each in SPELLINGS], ids=[each[0] for each in SPELLINGS])
def test_a_document_in_another_spelling_is_refused(
    proof_copy: Path, name: str, spelling: Spelling, problem: str
) -> None:
    (proof_copy / name).write_bytes(spelling((proof_copy / name).read_bytes()))
    if name != "inventory.json":
        take_stock(proof_copy)
    refused(check(proof_copy), 3 if name == "commitment.json" else 2, name, problem)

"""The second implementation agrees with the frozen proofs: documents, digests, ledger, states, draws, openings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import freeze
import numpy as np
import pyarrow.parquet as pq
import second_implementation as second
import tiny
from forge import claim_of
from frozen_proofs import CATALOGUE, opened, opening_cases, proof_cases, secret_of
from orbax.checkpoint import v1 as ocp

from pol_jax.protocol.challenge import draw
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import FORMAT_1
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.policies import RandomSegments


def document(path: Path) -> Any:
    return second.parse(path.read_bytes())


def rows_of(proof: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(proof.glob("ledger/*.parquet")) for row in pq.read_table(path).to_pylist()]


def bytes_of(row: dict[str, Any]) -> bytes:
    version = 1 if "loss" in row else 2
    values = row["metrics"] if version == 2 else [] if row["loss"] is None else [row["loss"]]
    metrics = bytes(np.array(values, np.float32).tobytes())
    head = (row["step"], row["key"], row["indices"], row["batch_digest"], row["state_digest"])
    return second.row_bytes(*head, metrics, version)


def leaves_of(proof: Path, step: int) -> list[bytes]:
    """The array bytes of the leaves of a state, as plain Orbax restores them."""
    tree = ocp.load(proof / f"checkpoints/{step:010d}")
    found = []
    for leaf in document(proof / "commitment.json")["state"]:
        node = tree
        for name in leaf["path"].split("/")[1:]:
            node = node[name] if 0 not in leaf["shape"] else np.empty(0)
        found.append(np.asarray(node).tobytes())
    return found


@proof_cases
def test_it_agrees_on_documents_and_files(proof: Path) -> None:
    claim, commitment = document(proof / "claim.json"), document(proof / "commitment.json")
    version = second.version_of(claim)
    content = (proof / "commitment.json").read_bytes()
    assert second.digest("commitment", content, version=version).hex() == claim["commitment"]
    for name in ("init", "step"):
        artifact = (proof / f"program/{name}.jax_export").read_bytes()
        assert second.digest(f"{name} program", artifact).hex() == commitment["program"][name]
    for name, entry in document(proof / "inventory.json")["files"].items():
        assert second.digest("file", (proof / name).read_bytes()).hex() == entry["digest"]


@proof_cases
def test_it_agrees_on_records(proof: Path) -> None:
    data, secret = document(proof / "commitment.json")["data"], secret_of(CATALOGUE[proof.name])
    found = []
    for index in range(data["records"]):
        content = b"".join(freeze.records()[leaf["path"][1:]][index].tobytes() for leaf in data["record"])
        version = second.version_of(document(proof / "claim.json"))
        salt = second.record_salt(secret, index, second.digest("record", content), version) if secret else b""
        found.append(second.digest("salted record" if secret else "record", salt + content))
    assert b"".join(found) == (proof / "records").read_bytes()
    assert second.merkle_root(found).hex() == data["root"]


@proof_cases
def test_it_agrees_on_the_ledger(proof: Path) -> None:
    claim, commitment = document(proof / "claim.json"), document(proof / "commitment.json")
    seed, schedule, rows = bytes.fromhex(claim["commitment"]), commitment["schedule"], rows_of(proof)
    content, size = (proof / "records").read_bytes(), commitment["data"]["records"]
    for step, row in enumerate(rows):
        words = second.step_key(seed, schedule["prng"], step)
        assert row["key"] == b"".join(word.to_bytes(4, "little") for word in words)
        drawn = second.batch(seed, size, schedule["batch_size"], step) if step else []
        assert row["indices"] == drawn
        assert row["batch_digest"] == second.digest("batch", b"".join(content[32 * at :][:32] for at in drawn))
    assert len(rows) == claim["steps"] + 1
    version = second.version_of(claim)
    digests = [second.digest("ledger row", bytes_of(row), version=version) for row in rows]
    assert second.merkle_root(digests).hex() == claim["ledger_root"]
    assert rows[-1]["state_digest"].hex() == claim["final_state"]


@proof_cases
def test_it_agrees_on_states(proof: Path) -> None:
    commitment, rows = document(proof / "commitment.json"), rows_of(proof)
    steps = [int(path.name) for path in (proof / "checkpoints").iterdir()]
    for step in steps:
        assert second.state_digest(commitment["state"], leaves_of(proof, step)) == rows[step]["state_digest"]
    initial = commitment["initial"]
    assert initial["origin"] == ("proof" if CATALOGUE[proof.name].parent else "key")
    if initial["origin"] == "proof":
        taken = second.taken_digest(commitment["state"], leaves_of(proof, 0), initial["leaves"])
        assert taken.hex() == initial["digest"]
        parent = proof.parent / str(CATALOGUE[proof.name].parent)
        claim = (parent / "claim.json").read_bytes()
        assert second.digest("claim", claim, version=second.version_of(second.parse(claim))).hex() == initial["claim"]


@proof_cases
def test_it_agrees_on_the_draw(proof: Path) -> None:
    claim, policy = claim_of(proof), RandomSegments(confidence=0.5, fraction=0.5)
    content = (proof / "claim.json").read_bytes()
    version = second.version_of(second.parse(content))
    digest = second.digest("claim", content, version=version)
    segments = -(-claim.steps // CATALOGUE[proof.name].interval)
    expected = second.draw(digest, tiny.NONCE, json.loads(encode(policy)), segments, version=version)
    assert draw(policy, segments, claim.digest(), tiny.NONCE, version=claim.format) == expected


@opening_cases
def test_it_agrees_on_openings(opening: Path) -> None:
    parsed, claim = opened(opening), opening.with_suffix("") / "claim.json"
    fields = stored_fields(parsed)
    assert second.pack(fields) == opening.read_bytes()
    states = second.opened(fields, claim.read_bytes())
    assert all(min(states) < step <= max(states) for step in CATALOGUE[opening.stem].opened)


def stored_fields(opening: Opening) -> dict[str, Any]:
    """The fields of an opening as its version stores them."""
    fields = {name: plain(getattr(opening, name)) for name in opening.__struct_fields__}
    if opening.format == FORMAT_1:
        return {name: value for name, value in fields.items() if name not in ("interventions", "decisions")}
    for state in fields["states"]:
        state["leaves"] = [[leaf] if leaf else [] for leaf in state["leaves"]]
    return fields


def plain(value: Any) -> Any:
    """Values of an opening as lists and dicts, for the second implementation."""
    if hasattr(value, "__struct_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return [plain(item) for item in value] if isinstance(value, tuple) else value

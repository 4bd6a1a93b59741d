"""Attacks that stage 3 refuses: another commitment, program or record digests than the claimed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import pytest
import tiny
from forge import Forger, edit_document, refused, take_stock

from pol_jax.program.artifact import INIT_FILE, PLATFORMS, STEP_FILE
from pol_jax.reports.report import Report
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.task import Task

Verify = Callable[..., Report]


ODD = b"\x07" * 32
"""A digest of nothing."""


def test_claim_of_another_commitment(forger: Forger, verify_plain: Verify) -> None:
    forger.write(commitment="0" * 64)
    refused(verify_plain(forger.root), 3, "commitment.json", "not the commitment that the claim names")


def test_commitment_changed_under_its_claim(proof_copy: Path, verify_plain: Verify) -> None:
    edit_document(proof_copy, "commitment.json", lambda plain: plain.update(nonce="mine"))
    refused(verify_plain(proof_copy), 3, "commitment.json", "not the commitment that the claim names")


def other_step() -> bytes:
    """A step program with the same signature: the learning rate is another."""
    task = tiny.plain()
    step = task.step

    def slow(state: Any, batch: Any, key: jax.Array) -> Any:
        new, metrics = step(state, batch, key)
        return new | {"params": jax.tree.map(lambda a, b: (a + b) / 2, state["params"], new["params"])}, metrics

    task = Task("other", task.init, slow, task.source, task.batch_size, task.steps)
    return export_task(task, signature_of(task, "threefry2x32")).step


def test_another_program_is_refused(proof_copy: Path, verify_plain: Verify) -> None:
    (proof_copy / STEP_FILE).write_bytes(other_step())
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 3, STEP_FILE, "not the committed program")


def test_program_swapped_and_committed_to(forger: Forger, verify_plain: Verify) -> None:
    forger.commit_to_step_program(other_step())
    forger.write_documents()
    refused(verify_plain(forger.root), 5, "row 0", "key")


def test_init_and_step_exchanged_are_refused(proof_copy: Path, verify_plain: Verify) -> None:
    init, step = ((proof_copy / name).read_bytes() for name in (INIT_FILE, STEP_FILE))
    (proof_copy / INIT_FILE).write_bytes(step)
    (proof_copy / STEP_FILE).write_bytes(init)
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 3, INIT_FILE, "not the committed program")


@pytest.mark.parametrize("wound", ["digest", "shorter", "longer"])
def test_record_digests_of_other_records_are_refused(proof_copy: Path, verify_plain: Verify, wound: str) -> None:
    path = proof_copy / "records"
    content = path.read_bytes()
    path.write_bytes({"digest": ODD + content[32:], "shorter": content[:-1], "longer": content + ODD}[wound])
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 3, "records", "Merkle root" if wound == "digest" else "bytes, expected 1280")


def exported(
    function: Callable[..., Any], *args: object, platforms: tuple[str, ...] = PLATFORMS, allow: str = ""
) -> bytes:
    checks = [jax.export.DisabledSafetyCheck.custom_call(allow)] if allow else []
    return bytes(jax.export.export(jax.jit(function), platforms=platforms, disabled_checks=checks)(*args).serialize())


def test_program_with_a_foreign_call(forger: Forger, verify_plain: Verify) -> None:
    """A custom call runs code of the verifier's process by name: none is let through."""
    task = tiny.plain()
    signature = signature_of(task, "threefry2x32")

    def step(leaves: Any, batch: Any, key: jax.Array) -> Any:
        loss = jax.ffi.ffi_call("jump_anywhere", jax.ShapeDtypeStruct((), jnp.float32))(batch[1])
        return leaves, tuple(loss for _ in signature.metrics)

    artifact = exported(step, signature.leaves(), signature.batch(), signature.key(), allow="jump_anywhere")
    forger.commit_to_step_program(artifact)
    forger.write_documents()
    refused(verify_plain(forger.root), 3, STEP_FILE, "calls jump_anywhere")


@pytest.mark.parametrize("wound", ["platforms", "arguments", "results", "metrics", "leaves", "dtypes", "empty"])
def test_program_of_another_signature(forger: Forger, verify_plain: Verify, wound: str) -> None:
    """Hostile programs that load, and must be refused before they are called."""
    task = tiny.plain()
    signature = signature_of(task, "threefry2x32")
    leaves, batch, key = signature.leaves(), signature.batch(), signature.key()
    metrics = tuple(jnp.float32(0) for _ in signature.metrics)
    artifacts: dict[str, Callable[[], bytes]] = {
        "platforms": lambda: exported(lambda s, b, k: (s, metrics), leaves, batch, key, platforms=("tpu",)),
        "arguments": lambda: exported(lambda s, b, k: (tuple(s), metrics), list(leaves), batch, key),
        "results": lambda: exported(lambda s, b, k: [s, metrics], leaves, batch, key),
        "metrics": lambda: exported(lambda s, b, k: (s, metrics[1:]), leaves, batch, key),
        "leaves": lambda: exported(lambda s, b, k: (s[1:], (s[0], *metrics)), leaves, batch, key),
        "dtypes": lambda: exported(lambda s, b, k: (s, (jnp.int32(0), *metrics[1:])), leaves, batch, key),
        "empty": lambda: b"",
    }
    forger.commit_to_step_program(artifacts[wound]())
    forger.write_documents()
    words = {
        "platforms": "is not for devices of cpu, cuda, tpu",
        "arguments": "takes other",
        "empty": "is no exported program",
    }
    refused(verify_plain(forger.root), 3, STEP_FILE, words.get(wound, "returns other"))


@pytest.mark.parametrize(
    ("field", "value", "stage"),
    [
        ("state[0].shape", [1], 3),
        ("state[0].dtype", "uint32", 3),
        ("state[0].path", "/counter", 5),
        ("program.metrics", ["a", "loss", "norm"], 3),
        ("data.records", 41, 3),
        ("data.root", "0" * 64, 3),
        ("data.salted", True, 5),
        ("schedule.batch_size", 5, 3),
        ("schedule.interval", 8, 4),
        ("schedule.witness_interval", 2, 4),
        ("schedule.prng", "rbg", 3),
        ("nonce", "mine", 5),
        ("beacon", "a later one", 5),
        ("prover", "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", 5),
        ("task.name", "stolen", 5),
    ],
)
def test_another_commitment_claimed(forger: Forger, verify_plain: Verify, field: str, value: Any, stage: int) -> None:
    """A stolen run can't be re-signed or re-told: all of the commitment is in the keys."""

    def change(plain: dict[str, Any]) -> None:
        *path, last = field.replace("[0]", ".0").split(".")
        node: Any = plain
        for name in path:
            node = node[int(name) if name.isdigit() else name]
        if last == "shape":
            node["pieces"] = [1] * len(value)
        node[last] = value

    forger.commit_to(change)
    forger.write_documents()
    refused(verify_plain(forger.root), stage)


def wounds() -> Iterator[tuple[str, Any, str]]:
    yield "unknown path", {"leaves": ["/params/v"]}, "initial.leaves"
    yield "twice", {"leaves": ["/params/w", "/params/w"]}, "initial.leaves"
    yield "unsorted", {"leaves": ["/params/w", "/params/b"]}, "initial.leaves"
    yield "none", {"leaves": []}, "initial.leaves"
    yield "a part of a path", {"leaves": ["/params"]}, "initial.leaves"
    yield "a key", {"leaves": ["/key"]}, "is a PRNG key"
    yield "no list", {"leaves": "/params/w"}, "leaves"
    yield "a short digest", {"digest": "00" * 31}, "digest"
    yield "a short claim", {"claim": "00" * 31}, "claim"
    yield "no claim", {"claim": None}, "claim"
    yield "another origin", {"origin": "elsewhere"}, "origin"
    yield "a claim of weights", {"origin": "weights"}, "claim"
    yield "leaves from the key", {"origin": "key"}, "initial"


@pytest.mark.parametrize(("change", "words"), [pytest.param(*case[1:], id=case[0]) for case in wounds()])
def test_initial_that_breaks_the_rules(change: dict[str, Any], words: str, child: Forger, verify_chain: Verify) -> None:
    edit_document(child.root, "commitment.json", lambda plain: plain["initial"].update(change))
    refused(verify_chain(child.root, "base"), 3, "commitment.json", words)


@pytest.mark.parametrize("steps", [18, 30])
def test_other_steps_than_committed(steps: int, forger: Forger, verify_plain: Verify) -> None:
    """The prover who may choose the end can choose the best of many."""
    forger.write(steps=steps)
    refused(verify_plain(forger.root), 3, "schedule.steps", f"the claim has {steps} steps, committed were 24")


@pytest.mark.parametrize("name", ["claim.json", "commitment.json", "inventory.json"])
def test_documents_of_two_versions(name: str, forger: Forger, verify_plain: Verify) -> None:
    """Each is a good document of its version."""
    old = "pol-jax/1"
    if name == "commitment.json":
        forger.commitment = msgspec.structs.replace(forger.commitment, format=old)
        forger.write_documents()
    elif name == "claim.json":
        forger.write_documents(format=old)
        edit_document(forger.root, "inventory.json", lambda plain: plain.update(format=old))
    else:
        edit_document(forger.root, name, lambda plain: plain.update(format=old))
    refused(
        verify_plain(forger.root),
        2 if name == "inventory.json" else 3,
        name if name != "claim.json" else "commit",
        "format",
    )

"""Attacks that stage 2 refuses: files that are missing, or that differ from the inventory."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from damage import WOUNDS, Damaged, check, files_of, remove, stage_of
from forge import refused, take_stock
from hypothesis import given, settings
from hypothesis import strategies as st

from pol_jax.program.artifact import INIT_FILE, STEP_FILE
from pol_jax.protocol.limits import Limits
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.proof import open_proof


def refused_by_inventory(root: Path, name: str, new: bytes) -> None:
    """A file that differs from its digest is refused in stage 2, by its name; the inventory itself by any name."""
    with Damaged(root, name, new):
        report = check(root)
    refused(report, 2, "" if name == "inventory.json" else name)


def test_first_middle_and_last_byte_of_every_file(small_proof: Path) -> None:
    cases = 0
    for name in files_of(small_proof):
        content = (small_proof / name).read_bytes()
        refused_by_inventory(small_proof, name, content + b"\0")
        for at in sorted({0, len(content) // 2, len(content) - 1}) if content else ():
            before, byte, after = content[:at], content[at], content[at + 1 :]
            changed = [bytes([byte ^ bit]) for bit in (1, 0x20, 0x80)] + [b"", b"\0" * 2, bytes([byte]) * 2]
            for new in (*changed, b"\0" if byte else b"\xff"):
                refused_by_inventory(small_proof, name, before + new + after)
                cases += 1
            refused_by_inventory(small_proof, name, before)
    assert cases > 400
    assert check(small_proof)


@pytest.fixture(scope="module")
def names(small_proof: Path) -> list[str]:
    """Files that may be damaged."""
    return files_of(small_proof)


@settings(max_examples=1200)
@given(data=st.data())
def test_any_byte_of_any_file(small_proof: Path, names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    content = (small_proof / name).read_bytes()
    new = data.draw(WOUNDS)(content)
    if new != content:
        refused_by_inventory(small_proof, name, new)


DEEPER = {
    "records": (3, "is missing"),
    INIT_FILE: (3, "is missing"),
    STEP_FILE: (3, "is missing"),
    segment_file(0): (4, "is missing"),
    segment_file(3): (4, "is missing"),
    checkpoint_name(0): (6, "is missing"),
    checkpoint_name(24): (6, "is missing"),
}


@pytest.mark.parametrize("name", DEEPER)
def test_a_missing_file_is_refused(proof_copy: Path, name: str) -> None:
    remove(proof_copy / name)
    refused(check(proof_copy), 2, name, "is missing; the inventory lists it")
    take_stock(proof_copy)
    stage, problem = DEEPER[name]
    refused(check(proof_copy), stage, name, problem)


def test_checkpoint_that_need_not_be_there(proof_copy: Path) -> None:
    """Without it, and with an inventory that says so, this is a thinned proof of the same claim."""
    remove(proof_copy / checkpoint_name(12))
    refused(check(proof_copy), 2, checkpoint_name(12), "is missing; the inventory lists it")
    take_stock(proof_copy)
    report = check(proof_copy)
    assert report, report.reasons
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.steps_replayed) == ((0, 1, 2, 3), 24)


@pytest.mark.parametrize("part", ["state", "state/manifest.ocdbt", "state/_METADATA", "state/d"])
def test_part_of_a_checkpoint_is_missing(proof_copy: Path, part: str) -> None:
    remove(proof_copy / checkpoint_name(12) / part)
    take_stock(proof_copy)
    refused(check(proof_copy), 6, checkpoint_name(12))


def test_a_state_or_a_run_beyond_what_the_verifier_has_memory_for(plain_proof: Path) -> None:
    size = sum(leaf.nbytes for leaf in open_proof(plain_proof).commitment.state)
    assert check(plain_proof, Limits(state_bytes=size, steps=tiny.STEPS))
    refused(check(plain_proof, Limits(state_bytes=size - 1)), 3, "commitment.json", "state: more than the limit")
    refused(check(plain_proof, Limits(steps=tiny.STEPS - 1)), 2, "claim.json", "steps: 24, more than the limit of 23")


@pytest.mark.parametrize("name", ["claim.json", "commitment.json", "records", STEP_FILE, segment_file(0)])
def test_an_empty_file_is_refused(proof_copy: Path, name: str) -> None:
    (proof_copy / name).write_bytes(b"")
    refused(check(proof_copy), 2, name, "has 0 bytes, the inventory says")
    take_stock(proof_copy)
    refused(check(proof_copy), stage_of(name), name)

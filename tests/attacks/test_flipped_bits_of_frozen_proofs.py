"""Copies of frozen proofs and openings with one flipped bit: each is refused, by the stage that looks at it."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from forge import refused, take_stock
from frozen_proofs import FOLDERS, folder_cases, opened, opening_cases, verified, verified_opening

from pol_jax.protocol.opening import Opening


def flip(path: Path, find: Callable[[bytes], int]) -> None:
    """Flip the lowest bit of one byte."""
    content = bytearray(path.read_bytes())
    content[find(bytes(content))] ^= 1
    path.write_bytes(content)


def middle(content: bytes) -> int:
    return len(content) // 2


def value_of(field: str) -> Callable[[bytes], int]:
    """Find the first decimal digit in the value of a field; with its lowest bit flipped, it is another digit."""

    def find(content: bytes) -> int:
        start = content.index(f'"{field}":'.encode()) + len(field) + 3
        return next(at for at in range(start, len(content)) if content[at] in b"0123456789")

    return find


def batch_digest(content: bytes) -> int:
    """Find a digest in the data of a file of the ledger: compression keeps such bytes, and statistics repeat them."""
    digest = pq.read_table(io.BytesIO(content)).to_pylist()[-1]["batch_digest"]
    for found in re.finditer(re.escape(digest), content):
        at = found.start()
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        if digest not in pq.read_table(io.BytesIO(changed))["batch_digest"].to_pylist():
            return at
    raise ValueError("the digest is compressed")


CHECKPOINT = "the largest file of a checkpoint"
WOUNDS: dict[str, tuple[str, Callable[[bytes], int], int]] = {
    "claim": ("claim.json", lambda content: 0, 2),
    "commitment of the claim": ("claim.json", value_of("commitment"), 3),
    "ledger root of the claim": ("claim.json", value_of("ledger_root"), 4),
    "final state of the claim": ("claim.json", value_of("final_state"), 4),
    "commitment": ("commitment.json", value_of("root"), 3),
    "records": ("records", middle, 3),
    "init program": ("program/init.jax_export", middle, 3),
    "step program": ("program/step.jax_export", middle, 3),
    "ledger": ("ledger/0000000000.parquet", batch_digest, 4),
    "checkpoint": (CHECKPOINT, middle, 6),
}


def copy_of(proof: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(proof, tmp_path / proof.name))


def file_of(proof: Path, name: str) -> Path:
    if name != CHECKPOINT:
        return proof / name
    return max(proof.glob("checkpoints/*/state/d/*"), key=lambda path: (path.stat().st_size, path.name))


@folder_cases
@pytest.mark.parametrize("wound", WOUNDS)
def test_a_flipped_bit_is_refused_by_its_stage(folder: Path, wound: str, tmp_path: Path) -> None:
    name, find, stage = WOUNDS[wound]
    proof = copy_of(folder / "plain", tmp_path)
    flip(file_of(proof, name), find)
    refused(verified(proof), 2)  # the inventory has another digest
    take_stock(proof)
    refused(verified(proof), stage)


def test_a_flipped_bit_of_the_inventory_is_refused(tmp_path: Path) -> None:
    proof = copy_of(FOLDERS[-1] / "plain", tmp_path)
    flip(proof / "inventory.json", value_of("digest"))
    refused(verified(proof), 2)


PARTS: dict[str, tuple[Callable[[Opening], bytes], int]] = {
    "format": (lambda opening: opening.format.encode(), 1),
    "claim": (lambda opening: opening.claim, 2),
    "commitment": (lambda opening: opening.commitment, 3),
    "step program": (lambda opening: opening.step, 3),
    "row": (lambda opening: opening.rows[-1].row, 4),
    "path of a row": (lambda opening: opening.rows[-1].path[0], 4),
    "record": (lambda opening: max(opening.records[0].leaves, key=len), 5),
    "state": (lambda opening: max(opening.states[-1].leaves, key=len), 6),
}


@pytest.mark.parametrize("part", PARTS)
@opening_cases
def test_a_flipped_bit_of_an_opening_is_refused_by_its_stage(opening: Path, part: str, tmp_path: Path) -> None:
    content_of, stage = PARTS[part]
    wounded, content = Path(shutil.copy(opening, tmp_path / opening.name)), content_of(opened(opening))
    flip(wounded, lambda whole: whole.index(content) + len(content) - 1)
    refused(verified_opening(opening.with_suffix(""), wounded), stage)

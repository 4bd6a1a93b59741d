"""The proofs and openings in ``tests/frozen``, and how they are verified."""

from __future__ import annotations

from pathlib import Path

import freeze
import pytest
import tiny
import unsandboxed
from freeze import Frozen
from places import TESTS

from pol_jax.protocol.encoding import FORMAT
from pol_jax.protocol.opening import Opening, parse_opening
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.reports.report import Report
from pol_jax.training.records import Arrays

CATALOGUE = {frozen.name: frozen for frozen in freeze.catalogue()}
FOLDERS = sorted((TESTS / "frozen").glob("*/jax-*"))
PROOFS = [folder / name for folder in FOLDERS for name in CATALOGUE]
OPENINGS = [path for folder in FOLDERS for path in sorted(folder.glob("*.opening"))]

folder_cases = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
todays_proof_cases = pytest.mark.parametrize(
    "proof",
    [proof for proof in PROOFS if proof.parents[1].name == FORMAT.replace("/", "-")],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
proof_cases = pytest.mark.parametrize("proof", PROOFS, ids=lambda path: "-".join(path.parts[-3:]))
opening_cases = pytest.mark.parametrize("opening", OPENINGS, ids=lambda path: "-".join(path.with_suffix("").parts[-3:]))


def secret_of(frozen: Frozen) -> bytes | None:
    """What salts the records of a frozen proof."""
    secret: bytes | None = dict(frozen.choices).get("secret")
    return secret


def verified(proof: Path) -> Report:
    """Verify every segment of a frozen proof, or of a copy, with the proofs that it may start from."""
    parents = [folder for name in ("plain", "tuned") if (folder := proof.parent / name).exists() and folder != proof]
    return unsandboxed.verify(
        proof,
        Arrays(freeze.records()),
        policy=AllSegments(),
        nonce=tiny.NONCE,
        secret=secret_of(CATALOGUE[proof.name]),
        parents=parents,
        any_program=True,  # they are known; a program that nobody compared has no tolerance
    )


def verified_opening(claim: Path, opening: Path) -> Report:
    """Verify a frozen opening, or a copy, against the claim of a proof."""
    steps = ListedSteps(CATALOGUE[opening.stem].opened)
    return unsandboxed.verify_opening(claim, opening, steps)


def opened(opening: Path) -> Opening:
    """A frozen opening, parsed."""
    return parse_opening(opening.read_bytes(), opening.name)

"""Proofs and openings that released code made, in ``tests/frozen``: today's code must go on verifying them."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import second_implementation as second
from conftest import NONCE
from forge import claim_of, refused, take_stock
from orbax.checkpoint import v1 as ocp

from pol_jax.program.machine import current_environment
from pol_jax.protocol.challenge import AllSegments, ListedSteps, Policy, RandomSegments, draw
from pol_jax.protocol.documents import encode
from pol_jax.protocol.opening import Opening, parse_opening
from pol_jax.reports.report import Outcome, Report, Verdict
from pol_jax.training.records import Arrays
from pol_jax.verifying import opening_verifier, proof_verifier

ROOT = Path(__file__).parent / "frozen"
sys.path.insert(0, str(ROOT.parents[1] / "scripts"))

import freeze  # noqa: E402
from freeze import Frozen  # noqa: E402

CATALOGUE = {frozen.name: frozen for frozen in freeze.catalogue()}
FOLDERS = sorted(ROOT.glob("*/jax-*"))
PROOFS = [pytest.param(folder / name, id=f"{folder.name}-{name}") for folder in FOLDERS for name in CATALOGUE]
OPENINGS = [path for folder in FOLDERS for path in sorted(folder.glob("*.opening"))]

opening_cases = pytest.mark.parametrize("opening", OPENINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")


def verified(proof: Path, policy: Policy | None = None) -> Report:
    """Verify a frozen proof, with the proofs that it starts from."""
    parents = [proof.parent / name for name in CATALOGUE if CATALOGUE[proof.name].parent and name != proof.name]
    return proof_verifier.verify(
        proof,
        Arrays(freeze.records()),
        policy=policy or AllSegments(),
        nonce=NONCE,
        secret=secret_of(CATALOGUE[proof.name]),
        parents=parents,
    )


def verified_opening(proof: Path, opening: Path) -> Report:
    steps = ListedSteps(CATALOGUE[proof.name].opened)
    return opening_verifier.verify_opening(proof, opening, steps, b"")


def secret_of(frozen: Frozen) -> bytes | None:
    return dict(frozen.choices).get("secret")


def holds(report: Report, *, reached: set[int]) -> None:
    """The report accepts by bits where the proof was made, and refuses nothing anywhere else."""
    outcomes = {stage.number: stage.outcome for stage in report.stages}
    assert {number for number in reached if outcomes[number] is not Outcome.PASSED} == set(), report.reasons
    assert report.verdict is not Verdict.REJECTED, report.reasons
    assert outcomes[9] in {Outcome.PASSED, Outcome.INCONCLUSIVE}
    if report.claimed_environment == current_environment():
        assert report.verdict is Verdict.ACCEPTED, report.reasons
        assert not report.compared


def test_the_catalogue_is_what_lies_there() -> None:
    assert {folder.name for folder in FOLDERS} >= {"jax-0.10.2", "jax-0.12.0.1"}
    opened = {f"{frozen.name}.opening" for frozen in CATALOGUE.values() if frozen.opened}
    for folder in FOLDERS:
        assert {path.name for path in folder.iterdir()} == CATALOGUE.keys() | opened
        environment = claim_of(folder / "plain").environment
        assert folder.name == f"jax-{environment.jax}"


@pytest.mark.parametrize("proof", PROOFS)
def test_a_frozen_proof_is_verified_for_ever(proof: Path) -> None:
    report = verified(proof)
    holds(report, reached=set(range(1, 9)))
    frozen = CATALOGUE[proof.name]
    ancestors = ["tuned", "plain"] if frozen.parent == "tuned" else [frozen.parent] if frozen.parent else []
    assert [each.claim for each in report.ancestors] == [
        claim_of(proof.parent / name).digest().hex() for name in ancestors
    ]


@opening_cases
def test_a_frozen_opening_is_verified_for_ever(opening: Path) -> None:
    first_state = {7} if 1 in CATALOGUE[opening.stem].opened else set()
    holds(verified_opening(opening.with_suffix(""), opening), reached={1, 2, 3, 4, 5, 6, 8} | first_state)


@pytest.mark.parametrize("proof", PROOFS)
def test_today_the_same_run_makes_the_same_claim(proof: Path, tmp_path: Path) -> None:
    claim = claim_of(proof)
    if claim.environment != current_environment():
        pytest.skip("made on another backend, whose bits differ")
    for name in CATALOGUE if CATALOGUE[proof.name].parent else ():
        (tmp_path / name).symlink_to(proof.parent / name)
    (tmp_path / proof.name).unlink(missing_ok=True)
    assert freeze.freeze(CATALOGUE[proof.name], tmp_path).claim == claim
    for path in tmp_path.glob("*.opening"):
        assert path.read_bytes() == (proof.parent / path.name).read_bytes()


# --- the second implementation -----------------------------------------------------------------------------------


def document(path: Path) -> Any:
    return second.parse(path.read_bytes())


def rows_of(proof: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(proof.glob("ledger/*.parquet")) for row in pq.read_table(path).to_pylist()]


def bytes_of(row: dict[str, Any]) -> bytes:
    loss = None if row["loss"] is None else np.float32(row["loss"]).tobytes()
    columns = (row[name] for name in ("step", "key", "indices", "batch_digest", "state_digest"))
    return second.row_bytes(*columns, loss)


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


@pytest.mark.parametrize("proof", PROOFS)
def test_the_second_implementation_agrees_on_documents_and_files(proof: Path) -> None:
    claim, commitment = document(proof / "claim.json"), document(proof / "commitment.json")
    assert second.digest("commitment", (proof / "commitment.json").read_bytes()).hex() == claim["commitment"]
    for name in ("init", "step"):
        artifact = (proof / f"program/{name}.jax_export").read_bytes()
        assert second.digest(f"{name} program", artifact).hex() == commitment["program"][name]
    for name, entry in document(proof / "inventory.json")["files"].items():
        assert second.digest("file", (proof / name).read_bytes()).hex() == entry["digest"]


@pytest.mark.parametrize("proof", PROOFS)
def test_the_second_implementation_agrees_on_records(proof: Path) -> None:
    data, secret = document(proof / "commitment.json")["data"], secret_of(CATALOGUE[proof.name])
    found = []
    for index in range(data["records"]):
        content = b"".join(freeze.records()[leaf["path"][1:]][index].tobytes() for leaf in data["record"])
        salt = second.digest("record salt", secret + second.u64(index)) if secret else b""
        found.append(second.digest("salted record" if secret else "record", salt + content))
    assert b"".join(found) == (proof / "records").read_bytes()
    assert second.merkle_root(found).hex() == data["root"]


@pytest.mark.parametrize("proof", PROOFS)
def test_the_second_implementation_agrees_on_the_ledger(proof: Path) -> None:
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
    digests = [second.digest("ledger row", bytes_of(row)) for row in rows]
    assert second.merkle_root(digests).hex() == claim["ledger_root"]
    assert rows[-1]["state_digest"].hex() == claim["final_state"]


@pytest.mark.parametrize("proof", PROOFS)
def test_the_second_implementation_agrees_on_states(proof: Path) -> None:
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
        assert second.digest("claim", (parent / "claim.json").read_bytes()).hex() == initial["claim"]


@pytest.mark.parametrize("proof", PROOFS)
def test_the_second_implementation_agrees_on_the_draw(proof: Path) -> None:
    claim, policy = claim_of(proof), RandomSegments(confidence=0.5, fraction=0.5)
    digest = second.digest("claim", (proof / "claim.json").read_bytes())
    segments = -(-claim.steps // CATALOGUE[proof.name].interval)
    expected = second.draw(digest, NONCE, json.loads(encode(policy)), segments)
    assert draw(policy, segments, claim.digest(), NONCE) == expected


@opening_cases
def test_the_second_implementation_agrees_on_openings(opening: Path) -> None:
    parsed, claim = opened(opening), opening.with_suffix("") / "claim.json"
    fields = {name: plain(getattr(parsed, name)) for name in parsed.__struct_fields__}
    assert second.pack(fields) == opening.read_bytes()
    states = second.opened(fields, claim.read_bytes())
    assert all(min(states) < step <= max(states) for step in CATALOGUE[opening.stem].opened)


def opened(opening: Path) -> Opening:
    return parse_opening(opening.read_bytes(), opening.name)


def plain(value: Any) -> Any:
    """Values of an opening as lists and dicts, for the second implementation."""
    if hasattr(value, "__struct_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


# --- damage ------------------------------------------------------------------------------------------------------


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
    """Find a digest in a file of the ledger: compression keeps such bytes as they are."""
    return content.index(pq.read_table(io.BytesIO(content)).to_pylist()[-1]["batch_digest"])


CHECKPOINT = "the largest file of a checkpoint"
WOUNDS: list[tuple[str, Callable[[bytes], int], int]] = [
    ("claim.json", lambda content: 0, 2),
    ("claim.json", value_of("commitment"), 3),
    ("claim.json", value_of("ledger_root"), 4),
    ("claim.json", value_of("final_state"), 4),
    ("commitment.json", value_of("root"), 3),
    ("records", middle, 3),
    ("program/init.jax_export", middle, 3),
    ("program/step.jax_export", middle, 3),
    ("ledger/0000000000.parquet", batch_digest, 4),
    (CHECKPOINT, middle, 6),
]


def copy_of(proof: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(proof, tmp_path / proof.name))


def file_of(proof: Path, name: str) -> Path:
    if name != CHECKPOINT:
        return proof / name
    return max(proof.glob("checkpoints/*/state/d/*"), key=lambda path: (path.stat().st_size, path.name))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize(("name", "find", "stage"), WOUNDS)
def test_a_flipped_bit_is_refused_by_its_stage(
    folder: Path, name: str, find: Callable[[bytes], int], stage: int, tmp_path: Path
) -> None:
    proof = copy_of(folder / "plain", tmp_path)
    flip(file_of(proof, name), find)
    refused(verified(proof), 2)  # the inventory has another digest
    take_stock(proof)
    refused(verified(proof), stage)


def test_a_flipped_bit_of_the_inventory_is_refused(tmp_path: Path) -> None:
    proof = copy_of(FOLDERS[-1] / "plain", tmp_path)
    flip(proof / "inventory.json", value_of("digest"))
    refused(verified(proof), 2)


OPENING_WOUNDS: list[tuple[Callable[[Opening], bytes], int]] = [
    (lambda opening: b"pol-jax/1", 1),
    (lambda opening: opening.claim, 2),
    (lambda opening: opening.commitment, 3),
    (lambda opening: opening.step, 3),
    (lambda opening: opening.rows[-1].row, 4),
    (lambda opening: opening.rows[-1].path[0], 4),
    (lambda opening: max(opening.records[0].leaves, key=len), 5),
    (lambda opening: max(opening.states[-1].leaves, key=len), 6),
]


@pytest.mark.parametrize(("part", "stage"), OPENING_WOUNDS)
@opening_cases
def test_a_flipped_bit_of_an_opening_is_refused_by_its_stage(
    opening: Path, part: Callable[[Opening], bytes], stage: int, tmp_path: Path
) -> None:
    wounded = Path(shutil.copy(opening, tmp_path / opening.name))
    content = part(opened(opening))
    flip(wounded, lambda whole: whole.index(content) + len(content) - 1)
    refused(verified_opening(opening.with_suffix(""), wounded), stage)

"""Attacks by damaged files under an inventory that fits: a changed file is refused by its stage, or says the same."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
import tiny
from damage import WOUNDS, Damaged, Wound, check, files_of, stage_of
from forge import Forger, refused, take_stock
from hypothesis import example, given, settings
from hypothesis import strategies as st
from places import TESTS

from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.sandbox import verify as isolation
from pol_jax.sandbox.starting import python_process
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.proof_verifier import ProofVerifier


@pytest.fixture
def until_stage_6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification ends before the replay: all that a replay starts from is there and checked."""
    monkeypatch.setattr(ProofVerifier, "_judge", lambda *_: None)


def same_meaning(root: Path, name: str, original: Forger) -> bool:
    """Whether a proof that was changed in one file still says the same, but for where it ran."""
    proof = open_proof(root)
    environments = proof.claim.environments if proof.claim else ()
    same = proof.commitment == original.commitment and list(proof.rows()) == original.rows
    if name.startswith("checkpoints/"):
        step = int(name.split("/")[1])
        pairs = zip(load_checkpoint(root, step, proof.commitment.state), original.states[step], strict=True)
        same = same and all((x.tobytes(), x.dtype, x.shape) == (y.tobytes(), y.dtype, y.shape) for x, y in pairs)
    return same and proof.claim == msgspec.structs.replace(original.claim, environments=environments)


def refused_or_the_same(root: Path, name: str, new: bytes, original: Forger) -> bool:
    """Whether a changed file was refused, by its stage; if not, everything that it means is unchanged."""
    inventory = (root / "inventory.json").read_bytes()
    with Damaged(root, name, new):
        try:
            take_stock(root)
            report = check(root)
            passed = [stage.outcome for stage in report.stages[:6]] == [Outcome.PASSED] * 6
            assert not passed or same_meaning(root, name, original), name
        finally:
            (root / "inventory.json").write_bytes(inventory)
    if not passed and name == "claim.json":  # its fields are held against the commitment and the ledger
        refused(report, next(stage.number for stage in report.stages[1:4] if stage.outcome is Outcome.FAILED))
    elif not passed:
        folder, *rest = name.split("/")
        where = {"checkpoints": "/".join([folder, *rest[:1]]), "ledger": "ledger"}.get(folder, name)
        refused(report, stage_of(name), where)
    return not passed


def meaningful_byte(root: Path, names: Sequence[str], original: Forger) -> tuple[str, float]:
    """A file and a place in it, as a share, where a byte means something: an array's, or the largest file's middle."""
    array = max(original.states[max(original.states)], key=lambda leaf: leaf.nbytes).tobytes()
    for name in names:
        content = (root / name).read_bytes()
        if (at := content.find(array)) >= 0:
            return name, (at + 0.5) / len(content)
    return max(names, key=lambda name: (root / name).stat().st_size), 0.5


KINDS = {"claim.json": 100, "commitment.json": 100, "records": 15, "program": 15, "ledger": 80, "checkpoints": 50}
"""How many cases for the files of a kind."""


@pytest.mark.usefixtures("until_stage_6")
@pytest.mark.parametrize("kind", KINDS)
def test_any_byte_with_an_inventory_to_match(small_proof: Path, kind: str) -> None:
    names = [name for name in files_of(small_proof) if name.split("/")[0] == kind]
    original, count = Forger(small_proof), 0
    wounded, place = meaningful_byte(small_proof, names, original)

    @settings(max_examples=KINDS[kind])
    @given(name=st.sampled_from(names), wound=WOUNDS)
    def run(name: str, wound: Wound) -> None:
        nonlocal count
        content = (small_proof / name).read_bytes()
        new = wound(content)
        if new != content:
            count += refused_or_the_same(small_proof, name, new, original)

    for bit in range(6):  # drawn wounds may all be where they change no meaning, as in a checkpoint's metadata
        run = example(name=wounded, wound=Wound("flip", place, 0, 0, 1, bit))(run)
    run()
    assert count > 5


@pytest.mark.usefixtures("until_stage_6")
def test_ledger_bytes_without_checksums(small_proof: Path, tmp_path: Path) -> None:
    """The attacker leaves the page checksums out, so that damage reaches the decoders."""
    root = Path(shutil.copytree(small_proof, tmp_path / "proof"))
    path, original = root / segment_file(1), Forger(root)
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=False)
    take_stock(root)
    content = path.read_bytes()

    @settings(max_examples=60)
    @given(wound=WOUNDS)
    def run(wound: Wound) -> None:
        refused_or_the_same(root, segment_file(1), wound(content), original)

    run()


PROGRAM_CASES = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import damage
damage.damage_programs(damage.Path(sys.argv[3]))
"""


def test_damaged_programs_that_are_committed_to(small_proof: Path, tmp_path: Path) -> None:
    """In a process of its own: the parser of StableHLO bytecode is not made for hostile bytes and may crash."""
    root = Path(shutil.copytree(small_proof, tmp_path / "proof"))
    with python_process(PROGRAM_CASES, [str(root)], {}) as process:
        ended = process.popen.wait(600)
        process.output.seek(0)
        said = process.output.read().decode(errors="replace")
    if ended == -signal.SIGSEGV:  # jaxlib 0.10: what a verifier's caller sees of it
        report = isolation.verify(root, tiny.plain().source)
        assert report.verdict is Verdict.INCONCLUSIVE
        assert "stage 3, commitment: cannot judge here" in report.reasons[0]
        assert "died of SIGSEGV" in report.reasons[0]
        return
    assert (ended, said[-5:]) == (0, "done\n"), said[-2000:]

"""Attacks that swap files while they are verified: what was checked first, and what is read later, must be the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from multiprocessing import Pipe as connections
from pathlib import Path

import msgspec
import pytest
from at_moments import At, Before
from forge import Forger, claim_of, refused

from pol_jax.errors import ProofError
from pol_jax.program.machine import current_environment
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import ListedSegments, TopSegments
from pol_jax.protocol.spans import Span
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.messages import ProofWork, ReplaySpan
from pol_jax.sandbox.pipe import Pipe
from pol_jax.sandbox.pool_worker import _prepare
from pol_jax.storage import checked_parts
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.ledger import DIRECTORY, segment_file
from pol_jax.verifying.checks import check_files_to_states

Verify = Callable[..., Report]

CHANGED = "changed since it was checked"
ODD = b"\x07" * 32


@pytest.fixture(autouse=True)
def _nothing_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs of these tests are small, and would not be read again; large ones are."""
    monkeypatch.setattr(checked_parts, "BOUND", 0)


@pytest.fixture
def forged(plain_proof: Path, tmp_path: Path) -> Forger:
    """A run of other states and losses from step 6 on, whose files agree with each other."""
    forger = Forger(Path(shutil.copytree(plain_proof, tmp_path / "forged")))
    for step in (6, 12, 18, 24):
        forger.set_state(step, forger.perturbed(step))
        forger.change(step - 1, loss=b"\0\0\x80?")
    forger.write()
    return forger


def swap(root: Path, other: Path, *names: str) -> Callable[[], None]:
    """Put another proof's files in the place of this one's."""

    def act() -> None:
        for name in names:
            path = root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            (shutil.copytree if (other / name).is_dir() else shutil.copy)(other / name, path)

    return act


def test_everything_swapped_for_an_honest_run(forged: Forger, plain_proof: Path, verify_plain: Verify) -> None:
    """The forged run passes what checks files alone; the honest one would be replayed, and accepted."""
    act = swap(forged.root, plain_proof, DIRECTORY, "checkpoints")
    refused(verify_plain(forged.root, progress=At(9, act)), 9, segment_file(0), CHANGED)


@pytest.mark.parametrize(("stage", "refusing"), [(5, 5), (7, 9), (9, 9)])
def test_a_ledger_swapped_before_the_replay(
    forged: Forger, plain_proof: Path, verify_plain: Verify, stage: int, refusing: int
) -> None:
    act = swap(forged.root, plain_proof, DIRECTORY)
    report = verify_plain(forged.root, progress=At(stage, act), policy=ListedSegments((1,)))
    refused(report, refusing, DIRECTORY, CHANGED)


def test_first_state_swapped_before_it_is_compared(forger: Forger, verify_plain: Verify, plain_proof: Path) -> None:
    forger.set_state(0, forger.perturbed(0))
    forger.write()
    act = swap(forger.root, plain_proof, checkpoint_name(0))
    report = verify_plain(forger.root, progress=At(7, act))
    assert report.verdict is Verdict.REJECTED
    assert report.reasons == (f"stage 7, initial state: {checkpoint_name(0)}: {CHANGED}: its state is another one",)


def test_checkpoint_swapped_before_the_replay(forged: Forger, plain_proof: Path, verify_plain: Verify) -> None:
    act = swap(forged.root, plain_proof, checkpoint_name(6))
    report = verify_plain(forged.root, progress=At(9, act), policy=ListedSegments((1,)))
    refused(report, 9, checkpoint_name(6), CHANGED)


def test_checkpoint_swapped_before_updates_are_measured(
    forged: Forger, plain_proof: Path, verify_plain: Verify
) -> None:
    act = swap(forged.root, plain_proof, checkpoint_name(12))
    report = verify_plain(forged.root, progress=Before("measuring updates", act), policy=TopSegments(1))
    refused(report, 6, checkpoint_name(12), CHANGED)


@pytest.mark.parametrize(("name", "segment"), [(segment_file(1), 1), (checkpoint_name(12), 2)])
def test_what_is_gone_or_damaged_later(proof_copy: Path, verify_plain: Verify, name: str, segment: int) -> None:
    """A replay reads what its segment begins with, unless it comes from the segment before."""

    def act() -> None:
        path = proof_copy / name
        shutil.rmtree(path) if path.is_dir() else path.write_bytes(b"no Parquet")

    refused(verify_plain(proof_copy, progress=At(9, act), policy=ListedSegments((segment,))), 9, name, CHANGED)


@pytest.mark.parametrize("name", [segment_file(1), checkpoint_name(6), checkpoint_name(12)])
def test_files_swapped_before_they_are_compared_as_numbers(
    forger: Forger,
    forged: Forger,
    verify_plain: Verify,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """On another backend, where a replay ended in other bits."""
    environment = msgspec.structs.replace(current_environment(), device_kind="abacus")
    monkeypatch.setattr("pol_jax.verifying.interruption.current_environment", lambda: environment)
    forger.change(9, state=ODD)
    forger.write()
    act = swap(forger.root, forged.root, name)
    progress = Before("comparing within a tolerance", act)
    refused(verify_plain(forger.root, progress=progress, policy=ListedSegments((1,))), 9, name, CHANGED)


@pytest.mark.parametrize("name", [DIRECTORY, "checkpoints"])
def test_what_was_checked_is_what_is_replayed(
    forged: Forger, plain_proof: Path, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What was checked is in memory: files of the honest run, swapped in later, don't stand for it."""
    monkeypatch.setattr(checked_parts, "BOUND", 2**26)
    act = swap(forged.root, plain_proof, name)
    report = verify_plain(forged.root, progress=At(9, act), policy=ListedSegments((1,)))
    assert report.verdict is Verdict.REJECTED
    assert CHANGED not in " ".join(report.reasons)


@pytest.mark.parametrize("name", [DIRECTORY, "checkpoints"])
def test_files_swapped_before_a_worker_reads_them(forged: Forger, plain_proof: Path, name: str) -> None:
    checked, claim = check_files_to_states(forged.root, Limits()), claim_of(forged.root)
    assert checked.proof.seen is not None
    span = Span(6, 12)
    wanted = ReplaySpan(span, checked.proof.seen.of_span(span))
    ours, _ = connections()
    replay = _prepare(Pipe(ours), ProofWork(str(forged.root), claim.digest().hex(), Limits(), None))
    swap(forged.root, plain_proof, name)()
    with pytest.raises(ProofError, match=f"{name}/.*: {CHANGED}"):
        replay(wanted)

"""Proofs in exact arithmetic are judged by bits on every backend that keeps its rules, and by nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger, refused
from unsandboxed import verify, verify_opening

from pol_jax.errors import UsageError
from pol_jax.exact import SelfTest
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.proving.choices import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import Task
from pol_jax.verifying import backend_differences

STEPS = 6


def task() -> Task:
    return replace(tiny.linen(), arithmetic="exact")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof that names another machine; its bits are those of every machine."""
    root = tmp_path_factory.mktemp("exact") / "proof"
    train(task(), root, steps=STEPS, choices=Choices(interval=3, seed="exact"))
    forger = Forger(root)
    forger.write_documents(environment=msgspec.structs.replace(forger.claim.environment, cpu="an abacus"))
    return root


@pytest.fixture
def forger(honest: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(honest, tmp_path / "proof")))


@pytest.fixture
def self_tests(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the self-test finds, without its minute of compiling; how often it was asked is appended to."""
    asked: list[bool] = []

    def found() -> SelfTest:
        asked.append(True)
        return SelfTest("exact/1", "this machine", 1, () if len(asked) < 100 else ("add",))

    monkeypatch.setattr(backend_differences, "self_test", found)
    return asked


def verified(root: Path) -> Report:
    return verify(root, task().source, policy=AllSegments(), nonce=tiny.NONCE)


def test_it_is_committed_and_accepted_elsewhere_bit_for_bit(honest: Path, self_tests: list[bool]) -> None:
    assert open_proof(honest).commitment.arithmetic == "exact/1"
    report = verified(honest)
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert report.mode is Mode.BITS
    assert not self_tests, "equal bits need no self-test"


def test_a_false_state_is_rejected_elsewhere(forger: Forger, self_tests: list[bool]) -> None:
    """Within any tolerance: one weight is off by one unit in the last place."""
    leaves = [leaf.copy() for leaf in forger.states[3]]
    leaf = next(leaf for leaf in leaves if leaf.dtype == np.float32 and leaf.size)
    leaf.reshape(-1)[0] = np.nextafter(leaf.reshape(-1)[0], np.float32(np.inf))
    forger.set_state(3, leaves)
    forger.write()
    refused(verified(forger.root), 9, "step 3")
    assert self_tests


def test_a_run_in_which_everything_is_false_is_rejected_elsewhere(forger: Forger, self_tests: list[bool]) -> None:
    """Nothing here is equal, which for other programs says that this backend can't judge."""
    for row in forger.rows[1:]:
        forger.change(row.step, state=b"\7" * 32)
    for step in forger.states:
        forger.set_state(step, forger.perturbed(step))
    forger.write()
    report = verified(forger.root)
    assert report.verdict is Verdict.REJECTED, report.reasons
    assert not report.compared


@pytest.mark.parametrize("change", ["state", "nothing"])
def test_a_backend_that_breaks_the_rules_judges_nothing(change: str, forger: Forger, self_tests: list[bool]) -> None:
    self_tests.extend([True] * 100)
    if change == "state":
        forger.set_state(3, forger.perturbed(3))
        forger.write()
    report = verified(forger.root)
    if change == "nothing":
        assert report.verdict is Verdict.ACCEPTED
        return
    assert report.verdict is Verdict.INCONCLUSIVE
    assert not report.compared, "numbers decide nothing about exact arithmetic"
    assert any("this machine doesn't keep exact/1" in reason for reason in report.reasons)


def test_an_opening_is_judged_so_too(forger: Forger, tmp_path: Path, self_tests: list[bool]) -> None:
    opening = open_steps(open_proof(forger.root), task().source, (2, 5))
    write_opening(tmp_path / "opening", opening)
    report = verify_opening(forger.root / "claim.json", tmp_path / "opening", ListedSteps((2, 5)))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert report.mode is Mode.BITS


def test_an_interrupted_run_goes_on_in_its_arithmetic_only(tmp_path: Path) -> None:
    train(tiny.linen(), tmp_path / "plain", steps=2)
    with pytest.raises(UsageError, match="arithmetic exact/1: this run is committed to None"):
        train(task(), tmp_path / "plain", steps=2)

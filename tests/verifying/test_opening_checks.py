"""Openings of runs that start from an earlier proof or from weights."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import unsandboxed
from fine_tuned import SOURCE, STEPS, digest, tune
from forge import Forger
from opened_steps import open_blindly

from pol_jax.program.machine import current_environment
from pol_jax.protocol.policies import ListedSteps
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof
from pol_jax.verifying import opening_verifier


def opened(root: Path, tmp_path: Path) -> Report:
    write_opening(tmp_path / "opening", open_blindly(root, (1,), SOURCE))
    return unsandboxed.verify_opening(root / "claim.json", tmp_path / "opening", ListedSteps((1,)), b"")


@pytest.mark.parametrize("abroad", [False, True])
def test_an_opening_says_what_it_does_not_show(
    abroad: bool, chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if abroad:
        other_bits(monkeypatch)
    tune(tmp_path / "child", open_proof(chain / "base"), "/params/b")
    report = opened(tmp_path / "child", tmp_path)
    assert report.verdict is Verdict.INCONCLUSIVE  # the earlier run may be false
    assert (
        report.reasons[0]
        == f"training starts from the run with the claim {digest(chain / 'base')}, which was not verified here"
    )
    assert any(each.startswith("stage 7, initial state: the run starts from an earlier one") for each in report.reasons)
    assert [each.start for each in report.compared if not each.equal] == ([-1] if abroad else [])


def test_an_opening_names_weights_of_unproven_origin_first(chain: Path, tmp_path: Path) -> None:
    report = opened(chain / "unproven", tmp_path)
    assert report, report.reasons
    assert report.reasons[0].startswith("training starts from weights of unproven origin: /params/w; 48 values")


def other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is not the prover's, whose initial state has other last bits."""
    environment = current_environment()
    elsewhere = msgspec.structs.replace(environment, jaxlib="0.0.1")
    monkeypatch.setattr("pol_jax.verifying.interruption.current_environment", lambda: elsewhere)
    monkeypatch.setattr(opening_verifier, "initial_is_exact", lambda opened: False)


@pytest.mark.parametrize(
    ("path", "words"), [("/params/w", "the leaves that were taken over"), ("/momentum", "another")]
)
def test_a_false_initial_state_in_an_opening(path: str, words: str, child: Forger, tmp_path: Path) -> None:
    at = next(at for at, leaf in enumerate(child.commitment.state) if leaf.path == path)
    child.train_on(SOURCE, 0, STEPS, [x + x.dtype.type(1) if i == at else x for i, x in enumerate(child.states[0])])
    child.write()
    report = opened(child.root, tmp_path)
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert any(words in reason for reason in report.reasons[1:])


def test_what_is_not_taken_over_is_judged_by_its_own_size_on_another_backend(
    tmp_path: Path, child: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = next(at for at, leaf in enumerate(child.commitment.state) if leaf.path == "/momentum")
    child.train_on(SOURCE, 0, STEPS, [x + x.dtype.type(1e-6) if i == at else x for i, x in enumerate(child.states[0])])
    child.write()
    other_bits(monkeypatch)
    report = opened(child.root, tmp_path)
    assert report.verdict is not Verdict.ACCEPTED
    assert report.compared[0].start == -1
    assert report.compared[0].update is not None
    assert report.compared[0].update < 1e-3  # of 48 times 1e-6, not of the weights that were taken over

"""Attacks that stage 7 refuses: an initial state that neither the key nor the named proof gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from fine_tuned import INTERVAL, SOURCE, STEPS, digest, tune, undecided_start
from forge import Forger, refused

from pol_jax.protocol.initial import EarlierProof, Initial
from pol_jax.proving import commit, fine_tuning
from pol_jax.proving.choices import Choices
from pol_jax.proving.fine_tuning import Start, choose_leaves
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.proof import open_proof
from pol_jax.training import initial_state
from pol_jax.training.records import Arrays
from pol_jax.training.task import Task

Verify = Callable[..., Report]


def lie(monkeypatch: pytest.MonkeyPatch, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> None:
    """From now on, a prover names the earlier proof and takes over something else."""

    def chosen(begin: Start, state: Any) -> tuple[Initial, list[np.ndarray]]:
        initial, taken = choose_leaves(begin, state)
        taken = change(taken)
        spec = tuple(leaf for leaf in state if leaf.path in initial.leaves)
        return msgspec.structs.replace(initial, digest=initial_state.digest_of(spec, taken)), taken

    monkeypatch.setattr(fine_tuning, "choose_leaves", chosen)
    monkeypatch.setattr(commit, "choose_leaves", chosen)


def test_leaves_that_are_not_of_the_named_proof(
    chain: Path, tmp_path: Path, verify_chain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better weights than the earlier run's, under its name; all else is consistent."""
    lie(monkeypatch, lambda taken: [taken[0], taken[1] + np.float32(1e-3)])
    tune(tmp_path / "child", open_proof(chain / "base"))
    report = verify_chain(tmp_path / "child", "base")
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert "not those of the final state of the proof that it comes from" in report.reasons[0]
    undecided_start(verify_chain(tmp_path / "child"), "is missing")
    elsewhere = Arrays(tiny.points(seed=2))  # so that nobody can judge the earlier steps
    report = verify_chain(tmp_path / "child", "base", source=lambda c: SOURCE if c.nonce == "child" else elsewhere)
    assert (report.verdict, report.ancestors[0].verdict) == (Verdict.REJECTED, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("leaf", "array"), [("float32[3] /more", np.ones(3, np.float32)), ("int32[1] /count", np.array([24], np.int32))]
)
def test_leaves_that_the_named_proof_has_not(
    leaf: str, array: np.ndarray, chain: Path, tmp_path: Path, verify_chain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such path, or the same bytes in another shape."""
    path, plain = leaf.split()[1], tiny.plain()

    def wider(key: jax.Array) -> Any:
        return {**plain.init(key), "more": jax.random.normal(key, (3,)), "count": jnp.zeros(1, jnp.int32)}

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        new, metrics = plain.step({name: x for name, x in state.items() if name != "more"}, batch, key)
        return {**new, "more": state["more"]}, metrics

    def chosen(begin: Start, state: Any) -> tuple[Initial, list[np.ndarray]]:
        spec = tuple(leaf for leaf in state if leaf.path == path)
        return EarlierProof(digest(chain / "base"), (path,), initial_state.digest_of(spec, [array])), [array]

    monkeypatch.setattr(fine_tuning, "choose_leaves", chosen)
    monkeypatch.setattr(commit, "choose_leaves", chosen)
    task = Task("wider", wider, step, SOURCE, tiny.BATCH, STEPS, INTERVAL)
    train(task, tmp_path / "wide", choices=Choices(start=Start(open_proof(chain / "base"))))
    report = verify_chain(tmp_path / "wide", "base", source=SOURCE)
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert f"has no {leaf}" in report.reasons[0]


@pytest.mark.parametrize("beginning", ["child", "unproven"])
def test_other_leaves_than_the_committed_in_the_initial_state(
    beginning: str, chain: Path, tmp_path: Path, verify_chain: Verify
) -> None:
    """True steps from weights that are not the committed ones."""
    forger = Forger(Path(shutil.copytree(chain / beginning, tmp_path / "copy")))
    at = next(at for at, leaf in enumerate(forger.commitment.state) if leaf.path == "/params/w")
    forger.train_on(SOURCE, 0, STEPS, [x + np.float32(1e-3) if i == at else x for i, x in enumerate(forger.states[0])])
    forger.write()
    report = verify_chain(forger.root, "base")
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert any("checkpoints/0000000000: the leaves that were taken over are not" in line for line in report.reasons)


def test_leaves_that_are_not_taken_over_come_from_the_key(child: Forger, verify_chain: Verify) -> None:
    at = next(at for at, leaf in enumerate(child.commitment.state) if leaf.path == "/momentum")
    child.train_on(SOURCE, 0, STEPS, [x + 1 if i == at else x for i, x in enumerate(child.states[0])])
    child.write()
    refused(verify_chain(child.root, "base"), 7, "the init program gives another initial state")


def test_trained_weights_as_initial_state(forger: Forger, verify_plain: Verify) -> None:
    """Everything is true but for the beginning: training went on from a model that was there before."""
    forger.train_on(tiny.plain().source, 0, 24, forger.states[24])
    forger.write()
    report = verify_plain(forger.root)
    refused(report, 7, "init program gives another initial state")
    assert report.stages[8].outcome is Outcome.PASSED

"""A run that ends in NaN: its proof may be true, but the first line says what the model is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import tiny
from tiny import NONCE
from unsandboxed import verify, verify_opening

from pol_jax import Choices, train
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.proving.opener import open_steps
from pol_jax.reports.html import render
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.wording.drift import describe_drift
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import Task

STEPS = 6
WARNING = "warning: the final state is not finite: "


def diverging() -> Task:
    """A task whose parameters are all NaN after the first step."""
    task = tiny.plain()

    def step(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        return new | {"params": jax.tree.map(lambda leaf: leaf * jnp.log(-jnp.abs(leaf) - 1), new["params"])}, metrics

    return dataclasses.replace(task, step=step)


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nan") / "proof"
    train(diverging(), root, steps=STEPS, choices=Choices(seed="nan", interval=3))
    return root


def test_a_model_of_nans_is_the_first_line_and_goes_no_distance(proof: Path) -> None:
    report = verify(proof, tiny.plain().source, policy=AllSegments(), nonce=NONCE)
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert report.reasons[0].startswith(WARNING)
    assert "/params/w: 48 of 48" in report.reasons[0]
    assert {leaf.path for leaf in report.non_finite} >= {"/params/b", "/params/w"}
    assert all(leaf.values == leaf.size for leaf in report.non_finite)
    (line,) = [line for line in describe_drift(report) if line.startswith("the distance from the initial")]
    assert report.drift is not None
    assert report.drift.distance != 0
    assert line.startswith("the distance from the initial to the final state is not finite")
    page = render(report)
    assert page.index(WARNING) < page.index("Stages")


def test_an_opening_of_a_model_of_nans_says_so_where_it_holds_the_last_state(proof: Path, tmp_path: Path) -> None:
    for steps, said in (((1, STEPS), True), ((1, 2), False)):
        opening = tmp_path / f"{steps}"
        write_opening(opening, open_steps(open_proof(proof), tiny.plain().source, steps))
        report = verify_opening(proof, opening, ListedSteps(steps))
        has_last = report.reasons[0].startswith(WARNING)
        assert has_last or not said, report.reasons

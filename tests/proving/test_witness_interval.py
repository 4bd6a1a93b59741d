"""The default witness interval follows what steps and digests cost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from strategies import law

from pol_jax.proving import commit, witness_interval
from pol_jax.proving.choices import Choices
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.proving.trial import trial_inputs, try_program
from pol_jax.proving.witness_interval import SHARE, UNNOTICED, Costs, measure, smallest_interval
from pol_jax.storage.proof import open_proof
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.states import HostState, Layout

SLOW = Costs(step=0.1, waiting=0.0065)
"""A digest of 6.5% of a step."""

_seconds = st.floats(1e-6, 10)


@law(200)
@given(_seconds, _seconds, st.floats(0, 10), st.integers(1, 1000))
def test_it_is_the_smallest_that_costs_little(step: float, waiting: float, behind: float, most: int) -> None:
    costs = Costs(step, waiting, behind)
    interval = smallest_interval(costs, most)

    def cheap(steps: int) -> bool:
        return waiting <= SHARE * steps * step * (1 + 1e-9) and behind <= steps * step * (1 + 1e-9)

    assert 1 <= interval <= most
    if waiting + behind > UNNOTICED:
        assert cheap(interval) or interval == most
        assert interval == 1 or not (interval - 1) * step * (1 - 1e-9) >= max(waiting / SHARE, behind)
    else:
        assert interval == 1


def test_the_smallest_interval_keeps_digests_cheap() -> None:
    assert smallest_interval(SLOW, 100) == 4
    assert smallest_interval(SLOW, 3) == 3  # checkpoints have digests anyway
    assert smallest_interval(Costs(step=1e-6, waiting=1e-4), 100) == 1  # nobody waits for a tenth of a millisecond
    assert smallest_interval(Costs(step=0.3, waiting=0.001, behind=0.7), 100) == 3  # it must keep up with the loop
    assert smallest_interval(Costs(step=0.0, waiting=1.0), 100) == 100


def test_steps_and_digests_are_timed() -> None:
    task = tiny.plain()
    signature = signature_of(task, "threefry2x32")
    program = try_program(export_task(task, signature), signature, task.source)
    costs = measure(program, *trial_inputs(signature, task.source))
    assert costs.step >= 0
    assert costs.waiting > 0
    assert costs.behind == 0  # a CPU digests and computes


def test_a_digest_costs_what_the_loop_loses_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that stops for a digest loses more than the digest takes: it is timed with digests, and without."""
    task = tiny.plain()
    signature = signature_of(task, "threefry2x32")
    program = try_program(export_task(task, signature), signature, task.source)
    monkeypatch.setattr(Layout, "is_digested_in_place", lambda *_: True)
    monkeypatch.setattr(witness_interval, "_digest_costs", lambda *_: (UNNOTICED * 1.01, 0.0))
    monkeypatch.setattr(HostState, "digest", lambda _: time.sleep(0.02))
    assert measure(program, *trial_inputs(signature, task.source)).waiting > 0.01


def test_the_choice_is_committed_and_a_run_that_goes_on_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "measure", lambda *_: SLOW)
    choices = Choices(interval=6)
    with (
        pytest.warns(UserWarning, match="stays open"),
        Recording(tiny.plain(), tmp_path, steps=12, choices=choices) as run,
    ):
        run.step(run.state, next(iter(run)))
    assert open_proof(tmp_path).commitment.schedule.witness_interval == 4
    monkeypatch.setattr(commit, "measure", lambda *_: pytest.fail("a run that goes on has chosen already"))
    proof = train(tiny.plain(), tmp_path, choices=choices)
    assert [row.step for row in proof.rows() if row.state] == [0, 4, 6, 8, 12]


def test_the_prover_may_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "measure", lambda *_: pytest.fail("nothing needs to be timed"))
    with Recording(tiny.plain(), tmp_path, steps=12, choices=Choices(witness_interval=5)) as run:
        assert run.commitment.schedule.witness_interval == 5
        run.run()

"""Before the first step: a run is committed to or found again, and the task must be the one with which it began."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from killed_runs import CHOICES, STEPS, resume

from pol_jax.errors import UsageError
from pol_jax.proving.choices import Choices
from pol_jax.proving.preparation import prepare
from pol_jax.proving.recording import Recording
from pol_jax.proving.run_options import request_of
from pol_jax.training.processes import TIMEOUT, Processes


def test_a_finished_run_is_found_with_its_aim(uninterrupted: Path) -> None:
    found = prepare(uninterrupted, tiny.plain(), request_of(choices=CHOICES), Processes(TIMEOUT))
    assert found.finished
    assert (found.aim.steps, found.aim.keep_every, found.interventions.made) == (STEPS, 1, ())
    assert found.commitment.nonce == "resume"


def test_a_state_of_other_leaves_is_not_the_committed_one(uninterrupted: Path) -> None:
    task = replace(tiny.linen(), name="tiny plain")
    with pytest.raises(UsageError, match="state is not the committed one"):
        prepare(uninterrupted, task, request_of(choices=Choices()), Processes(TIMEOUT))


def test_loop_over_a_finished_run_does_nothing(uninterrupted: Path) -> None:
    with Recording(tiny.plain(), uninterrupted, choices=CHOICES) as recording:
        assert int(recording.state["count"]) == STEPS
        assert list(recording) == []


def test_finished_run_is_left_alone(uninterrupted: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in uninterrupted.rglob("*") if file.is_file()}
    resume(uninterrupted)
    assert {file: file.stat().st_mtime_ns for file in uninterrupted.rglob("*") if file.is_file()} == before
    with pytest.raises(UsageError, match="is finished, with 12 steps"):
        resume(uninterrupted, steps=13)

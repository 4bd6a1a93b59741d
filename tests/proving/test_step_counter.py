"""Each step is run once and in order, and a loop that leaves steps out is told."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import tiny

from pol_jax.errors import UsageError
from pol_jax.proving.recording import Recording
from pol_jax.proving.step_counter import StepCounter
from pol_jax.storage.proof import open_proof


def counter(start: int = 3, last: int = 5, *, exhausted: bool = False) -> StepCounter:
    made = StepCounter(start, 12)
    made.last, made.exhausted = last, exhausted
    return made


def test_only_the_step_after_the_last_is_next() -> None:
    counter().check_next(6)
    for step, words in (
        (5, "step 5: was run already; the next one is 6, of 12"),
        (1, "step 1: was run already"),
        (7, "step 7: step 6 was not run"),
    ):
        with pytest.raises(UsageError, match=words):
            counter().check_next(step)
    with pytest.raises(UsageError, match="step 13"):
        counter(last=12).check_next(13)


def test_a_loop_that_ran_some_steps_is_warned_and_one_that_ran_none_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the run stays open after step 5 of 12"):
        counter().left_early(tmp_path)
    with pytest.raises(UsageError, match="none of the 9 steps was run"):
        counter(last=3, exhausted=True).left_early(tmp_path)
    with warnings.catch_warnings(action="error"):
        counter(last=3).left_early(tmp_path)


def stopped(root: Path, after: int) -> None:
    """Leave the loop after a step."""
    with Recording(tiny.plain(), root, steps=12) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == after:
                break


def passing_by(root: Path) -> None:
    """Run no step of the recording."""
    with Recording(tiny.plain(), root, steps=12) as recording:
        for _ in recording:
            pass


def test_steps_that_are_left_out_or_run_twice(tmp_path: Path) -> None:
    with Recording(tiny.plain(), tmp_path / "proof", steps=12) as recording:
        inputs = list(recording)
        state, _ = recording.step(recording.state, inputs[0])
        with pytest.raises(UsageError, match=r"step 3: step 2 was not run; each step .* in order"):
            recording.step(state, inputs[2])
        with pytest.raises(UsageError, match="step 1: was run already; the next one is 2, of 12"):
            recording.step(state, inputs[0])
        with pytest.raises(UsageError, match="step 1 was run by a loop of your own"):
            recording.run()
        for each in recording:  # goes on after the steps that were run
            state, _ = recording.step(state, each)
        assert list(recording) == []
    assert open_proof(tmp_path / "proof").claim


def test_a_loop_that_runs_no_step_of_the_recording(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the loop ended, but none of the 12 steps was run by recording\.step"):
        passing_by(tmp_path / "proof")


def test_leaving_early_says_so(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the run stays open after step 3 of 12; the same code continues it"):
        stopped(tmp_path / "proof", after=3)

"""What an unfinished run knows of itself: how far it shall go, what it keeps, and where it was made so far."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import msgspec
import pytest
import tiny
from example_reports import unfinished
from killed_runs import CHOICES, THIN, Countdown, Killed, claim_of, interrupted, resume

from pol_jax.errors import UsageError
from pol_jax.progress import Silent
from pol_jax.protocol.claim import EnvironmentFrom
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.proving import commit
from pol_jax.proving.aim import Aim, check_aim, check_count, environments_after, steps_of_open_run
from pol_jax.storage.proof import open_proof

FLAG = "--xla_cpu_enable_fast_math=true"
"""Decides bits where jax starts with it; this process has started."""

HERE = unfinished().environment
THERE = msgspec.structs.replace(HERE, cpu="an abacus")


def test_one_checkpoint_of_so_many_is_kept_and_the_last() -> None:
    aim = Aim(steps=9, keep_every=2)
    assert [step for step in range(10) if aim.keeps(step, 2)] == [0, 4, 8, 9]
    assert [step for step in range(10) if Aim(9, 1).keeps(step, 6)] == [0, 6, 9]


@pytest.mark.parametrize("asked", [0, -1, MAX_STEPS + 1])
def test_what_is_no_number_of_steps_is_refused(asked: int) -> None:
    with pytest.raises(UsageError, match=r"steps .*: expected an integer from 1 to"):
        check_count("steps", asked)


def test_numbers_that_are_possible_are_no_error() -> None:
    assert check_count("steps", 1) == 1
    check_aim(None, None)
    check_aim(MAX_STEPS, 3)
    with pytest.raises(UsageError, match="keep_every 0"):
        check_aim(3, 0)


def test_a_directory_without_an_open_run_aims_at_nothing(tmp_path: Path) -> None:
    assert steps_of_open_run(tmp_path) is None


def test_environments_follow_one_another() -> None:
    begun = (EnvironmentFrom(0, HERE),)
    assert environments_after(begun, HERE, 6) == begun
    moved = environments_after(begun, THERE, 6)
    assert moved == (*begun, EnvironmentFrom(6, THERE))
    assert environments_after(moved, HERE, 8) == (*moved, EnvironmentFrom(8, HERE))
    assert environments_after(moved, HERE, 6) == begun, "what was made elsewhere is made again here"
    assert environments_after(begun, THERE, 0) == (EnvironmentFrom(0, THERE),)
    assert environments_after(begun, THERE, -1) == (EnvironmentFrom(0, THERE),)
    also_here = msgspec.structs.replace(HERE, device_count=9)
    assert environments_after(begun, also_here, 6) == begun, "this decides no bits"


def test_how_many_are_kept_is_asked_for_last(tmp_path: Path) -> None:
    """Like the number of steps: remembered, until a call says otherwise."""
    path = tmp_path / "proof"
    interrupted(path, 12, **THIN)
    resume(path, **(THIN | {"keep_every": 4}))
    assert open_proof(path).checkpoints() == [0, 8, 9]


def test_run_that_ended_at_its_last_step_is_not_continued(tmp_path: Path) -> None:
    """A checkpoint that only the former last step has: nothing is overwritten, and the former call goes on."""
    path, loose = tmp_path / "proof", dataclasses.replace(CHOICES, may_stop_early=True)

    def end_at(path: Path, steps: int) -> None:
        if not (path / "commitment.json").exists():
            path.mkdir()
            commit.write_commitment(path, tiny.plain(), loose, Silent(), steps=20)
        resume(path, steps=steps, choices=loose)

    with pytest.MonkeyPatch.context() as monkeypatch:
        countdown = Countdown(monkeypatch, 10**6)
        end_at(tmp_path / "counted", 10)
    count = 10**6 - countdown.left
    for most in range(count - 8, count):
        with pytest.MonkeyPatch.context() as monkeypatch:
            Countdown(monkeypatch, most)
            with pytest.raises(Killed):
                end_at(path, 10)
        if (path / "checkpoints/0000000010").exists():
            with pytest.raises(UsageError, match=r"was ended at step 10|is finished, with 10"):
                end_at(path, 20)
            end_at(path, 10)
            shutil.rmtree(path)
        else:
            end_at(path, 20)
            claim = open_proof(path).claim
            assert claim is not None
            assert claim.steps == 20
            shutil.rmtree(path)


def test_a_run_that_may_stop_early_stops_no_later_than_it_has(tmp_path: Path) -> None:
    path, loose = tmp_path / "proof", dataclasses.replace(CHOICES, may_stop_early=True)
    interrupted(path, choices=loose)
    with pytest.raises(UsageError, match="more than the 3"):
        resume(path, steps=3, choices=loose)
    with pytest.raises(UsageError, match="committed to at most 12"):
        resume(path, steps=13, choices=loose)


def test_refused_call_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "proof"
    interrupted(path)
    before = (path / "run.json").read_bytes()
    with pytest.raises(UsageError, match="committed to exactly 12"):
        resume(path, steps=13)
    assert (path / "run.json").read_bytes() == before


def test_a_run_goes_on_on_another_backend(uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim says from which step; where the steps before are made again, it is as if it had never moved."""
    path, back = tmp_path / "proof", tmp_path / "back"
    interrupted(path)
    start = open_proof(path).checkpoints()[-1]
    assert start > 0
    shutil.copytree(path, back)
    monkeypatch.setenv("XLA_FLAGS", FLAG)
    with pytest.warns(UserWarning, match=f"goes on after step {start} on another backend .xla_flags: none against"):
        resume(path)
    moved, stayed = open_proof(path).claim, open_proof(uninterrupted).claim
    assert moved is not None
    assert stayed is not None
    assert [each.start for each in moved.environments] == [0, start]
    assert [each.environment.xla_flags for each in moved.environments] == [(), (FLAG,)]
    assert (moved.ledger_root, moved.final_state) == (stayed.ledger_root, stayed.final_state)
    with pytest.warns(UserWarning, match="goes on"):
        interrupted(back, 1)
    monkeypatch.delenv("XLA_FLAGS")
    resume(back)
    assert claim_of(back) == claim_of(uninterrupted)


def test_a_run_with_an_initial_state_alone_stays_where_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim can't say that the initial state was made elsewhere than the first step."""
    path = tmp_path / "proof"
    interrupted(path, 9)
    assert open_proof(path).checkpoints() == [0]
    monkeypatch.setenv("XLA_FLAGS", FLAG)
    with pytest.raises(UsageError, match=r"another backend \(xla_flags: none against --xla_cpu"):
        resume(path)

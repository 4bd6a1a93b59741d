"""A run that is killed goes on by itself and ends with the claim of an uninterrupted one."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from pol_jax.errors import DataError, DivergenceError, StorageError, UsageError
from pol_jax.progress import Silent
from pol_jax.proving import aim, commit, finishing, recorder
from pol_jax.proving.choices import Choices
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.storage import journal
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.storage.checkpoints import remove_checkpoint
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays

STEPS, CHOICES = 12, Choices(interval=6, seed="resume")
FLAG = "--xla_cpu_enable_fast_math=true"
"""Decides bits where jax starts with it; this process has started."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the package catches it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    path = tmp_path_factory.mktemp("whole") / "proof"
    train(tiny.plain(), path, steps=STEPS, choices=CHOICES)
    return path


class Countdown:
    """Raises `Killed` before the n-th write to the disk, and before any later one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.left = most
        for owner, name in (
            (commit, "write_whole"),
            (finishing, "write_whole"),
            (aim, "write_whole"),
            (CheckpointWriter, "save"),
            (recorder, "seal"),
            (recorder, "remove_checkpoint"),
            (journal.Journal, "append"),
            (journal.Journal, "clear"),
            (recorder.Recorder, "remove_journal"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return function(*args, **kwargs)

        return counted


def claim_of(path: Path) -> bytes:
    claim = open_proof(path).claim
    assert claim is not None
    return claim.digest()


def resume(path: Path, **changes: Any) -> None:
    arguments: dict[str, Any] = {"steps": STEPS, "choices": CHOICES} | changes
    train(tiny.plain(), path, **arguments)


def writes_of_a_run(tmp_path: Path) -> int:
    with pytest.MonkeyPatch.context() as monkeypatch:
        countdown = Countdown(monkeypatch, 10**6)
        resume(tmp_path / "counted")
        return 10**6 - countdown.left


def test_killed_before_any_write_ends_with_the_same_claim(whole: Path, tmp_path: Path) -> None:
    """Every write of a run in turn is the first one that does not happen."""
    count = writes_of_a_run(tmp_path)
    assert count > 25  # 4 files of the commitment, 13 rows, 3 checkpoints, 2 seals, ...
    for most in range(count):
        path = tmp_path / f"killed-{most}"
        with pytest.MonkeyPatch.context() as monkeypatch:
            Countdown(monkeypatch, most)
            with pytest.raises(Killed):
                resume(path)
        resume(path)
        assert claim_of(path) == claim_of(whole), f"killed before write {most}"
        shutil.rmtree(path)


def test_killed_twice_loses_at_most_one_interval(whole: Path, tmp_path: Path) -> None:
    """What was recorded and is not recomputed ends at the last checkpoint, at most one interval back."""
    path, recomputed = tmp_path / "proof", []
    for most in (16, 9):
        with pytest.MonkeyPatch.context() as monkeypatch:
            Countdown(monkeypatch, most)
            with pytest.raises(Killed):
                resume(path)
        recorded = open_proof(path).last_step
        with Recording(tiny.plain(), path, steps=STEPS, choices=CHOICES) as recording:
            recomputed.append(recorded - recording.start)
    assert all(0 <= lost <= 6 for lost in recomputed)
    resume(path)
    assert claim_of(path) == claim_of(whole)


def interrupted(path: Path, writes: int = 20, **changes: Any) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        Countdown(monkeypatch, writes)
        with pytest.raises(Killed):
            resume(path, **changes)


THIN: dict[str, Any] = {"steps": 9, "keep_every": 2, "choices": Choices(interval=2, seed="thin")}


KEPT = [0, 4, 8, 9]


def test_thinned_run_killed_before_any_write_ends_with_the_same_checkpoints(tmp_path: Path) -> None:
    """What is not to be kept is there for as long as a run may have to go on from it, and not for longer."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        countdown = Countdown(monkeypatch, 10**6)
        resume(tmp_path / "whole", **THIN)
    claim = claim_of(tmp_path / "whole")
    assert open_proof(tmp_path / "whole").checkpoints() == KEPT
    for most in range(5, 10**6 - countdown.left):
        path = tmp_path / f"killed-{most}"
        interrupted(path, most, **THIN)
        recorded = open_proof(path).last_step
        with Recording(tiny.plain(), path, choices=THIN["choices"]) as recording:  # it remembers the rest
            assert recorded - recording.start <= 2
            recording.run()
        assert claim_of(path) == claim, f"killed before write {most}"
        assert open_proof(path).checkpoints() == KEPT, f"killed before write {most}"
        shutil.rmtree(path)


def test_what_a_killed_removal_left_is_removed(tmp_path: Path) -> None:
    """A checkpoint that should be gone, and one that is half gone."""
    path, stale = tmp_path / "proof", [f"checkpoints/{step:010d}" for step in (2, 6)]
    resume(path, **THIN)
    claim = claim_of(path)
    (path / "inventory.json").unlink()
    shutil.copytree(path / "checkpoints/0000000000", path / stale[0])
    shutil.copytree(path / "checkpoints/0000000000", path / f"{stale[1]}.removed")
    resume(path, **THIN)
    assert claim_of(path) == claim
    assert sorted(entry.name for entry in (path / "checkpoints").iterdir()) == [f"{step:010d}" for step in KEPT]


def test_thinned_run_goes_on_from_a_kept_checkpoint_where_later_ones_are_damaged(tmp_path: Path) -> None:
    """Sealed steps are computed again, with the checkpoints that an open run needs."""
    path = tmp_path / "proof"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(recorder, "remove_checkpoint", killed_at(path, 8))
        with pytest.raises(Killed):
            resume(path, **THIN)
    assert open_proof(path).checkpoints() == [0, 4, 6, 8]
    for step in (6, 8):
        shutil.rmtree(path / f"checkpoints/{step:010d}/state")
    with Recording(tiny.plain(), path, choices=THIN["choices"]) as recording:
        assert recording.start == 4
        assert len(recording.damaged) == 2
        recording.run()
    assert open_proof(path).checkpoints() == KEPT


def killed_at(path: Path, step: int) -> Callable[[Path, int], None]:
    """Removes checkpoints until the one of ``step`` is there."""

    def remove(root: Path, earlier: int) -> None:
        if (path / f"checkpoints/{step:010d}").exists():
            raise Killed
        remove_checkpoint(root, earlier)

    return remove


def test_how_many_are_kept_is_asked_for_last(tmp_path: Path) -> None:
    """Like the number of steps: remembered, until a call says otherwise."""
    path = tmp_path / "proof"
    interrupted(path, 12, **THIN)
    resume(path, **(THIN | {"keep_every": 4}))
    assert open_proof(path).checkpoints() == [0, 8, 9]


def test_recomputed_step_that_differs_is_reported_and_not_overwritten(tmp_path: Path) -> None:
    """A row in the journal that the recomputation contradicts: silent data corruption."""
    path = tmp_path / "proof"
    interrupted(path)
    rows = journal.read_journal(path / journal.FILE, open_proof(path).commitment.row_layout)
    step = rows[-1].step
    rows[-1] = replace(rows[-1], step=step, state=bytes(32))
    journal.Journal(path / journal.FILE, rows).close()
    before = (path / journal.FILE).read_bytes()
    with pytest.raises(DivergenceError, match=rf"step {step}: recomputed state_digest"):
        resume(path)
    assert (path / journal.FILE).read_bytes() == before
    with pytest.raises(DivergenceError):
        resume(path)


def test_sealed_step_that_differs_is_reported(whole: Path, tmp_path: Path) -> None:
    """Also where the checkpoint after it is gone and sealed rows are recomputed."""
    path = tmp_path / "proof"
    interrupted(path)
    shutil.rmtree(path / "checkpoints/0000000006")
    resume(path)
    assert claim_of(path) == claim_of(whole)


def test_damaged_checkpoint_is_passed_over(whole: Path, tmp_path: Path) -> None:
    """The one before it serves; the damaged one is written again."""
    path = tmp_path / "proof"
    interrupted(path)
    data = max((path / "checkpoints/0000000006").rglob("d/*"), key=lambda file: file.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with Recording(tiny.plain(), path, steps=STEPS, choices=CHOICES) as recording:
        assert recording.start == 0
        assert any("checkpoint" in line for line in recording.damaged)
    resume(path)
    assert claim_of(path) == claim_of(whole)


def test_choices_that_contradict_the_run_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "proof"
    interrupted(path)
    for changes, word in (
        ({"choices": Choices(interval=5, seed="resume")}, "interval 5"),
        ({"choices": Choices(interval=6, seed="other")}, "seed other"),
        ({"choices": Choices(interval=6, seed="resume", secret=bytes(32))}, "public"),
        ({"choices": Choices(interval=6, seed="resume", prng="rbg")}, "prng rbg"),
        ({"choices": Choices(interval=6, seed="resume", witness_interval=2)}, "witness interval 2"),
        ({"steps": 3}, "committed to exactly 12"),
    ):
        with pytest.raises(UsageError, match=word):
            resume(path, **changes)
    with pytest.raises(UsageError, match="task tiny linen: this run is committed to tiny plain"):
        train(tiny.linen(), path, steps=STEPS, choices=CHOICES)
    with pytest.raises(UsageError, match="state is not the committed one"):
        train(dataclasses.replace(tiny.linen(), name="tiny plain"), path, steps=STEPS, choices=CHOICES)


def test_leftovers_of_a_kill_do_not_stop_a_run(whole: Path, tmp_path: Path) -> None:
    """Half-written files, and what a desktop leaves in a directory."""
    path = Path(shutil.copytree(whole, tmp_path / "proof"))
    (path / "inventory.json").unlink()
    for name in ("inventory.json.tmp", "claim.json.tmp", "run.json.tmp", "journal.tmp", "checkpoints/.DS_Store"):
        (path / name).touch()
    resume(path)
    assert claim_of(path) == claim_of(whole)


def test_claim_that_is_there_keeps_its_environment(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the inventory: no step runs again, so the backend of the second try is of no interest."""
    path = Path(shutil.copytree(whole, tmp_path / "proof"))
    (path / "inventory.json").unlink()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    resume(path)
    assert claim_of(path) == claim_of(whole)


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


def test_loop_over_a_finished_run_does_nothing(whole: Path) -> None:
    with Recording(tiny.plain(), whole, choices=CHOICES) as recording:
        assert int(recording.state["count"]) == STEPS
        assert list(recording) == []


def test_finished_run_is_left_alone(whole: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in whole.rglob("*") if file.is_file()}
    resume(whole)
    assert {file: file.stat().st_mtime_ns for file in whole.rglob("*") if file.is_file()} == before
    with pytest.raises(UsageError, match="is finished, with 12 steps"):
        resume(whole, steps=13)


def test_a_run_goes_on_on_another_backend(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim says from which step; where the steps before are made again, it is as if it had never moved."""
    path, back = tmp_path / "proof", tmp_path / "back"
    interrupted(path)
    start = open_proof(path).checkpoints()[-1]
    assert start > 0
    shutil.copytree(path, back)
    monkeypatch.setenv("XLA_FLAGS", FLAG)
    with pytest.warns(UserWarning, match=f"goes on after step {start} on another backend .xla_flags: none against"):
        resume(path)
    moved, stayed = open_proof(path).claim, open_proof(whole).claim
    assert moved is not None
    assert stayed is not None
    assert [each.start for each in moved.environments] == [0, start]
    assert [each.environment.xla_flags for each in moved.environments] == [(), (FLAG,)]
    assert (moved.ledger_root, moved.final_state) == (stayed.ledger_root, stayed.final_state)
    with pytest.warns(UserWarning, match="goes on"):
        interrupted(back, 1)
    monkeypatch.delenv("XLA_FLAGS")
    resume(back)
    assert claim_of(back) == claim_of(whole)


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


def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    with (
        Recording(tiny.plain(), tmp_path / "proof", steps=STEPS),
        pytest.raises(StorageError, match="in use by another process"),
    ):
        Recording(tiny.plain(), tmp_path / "proof", steps=STEPS)


def test_changed_source_is_noticed(tmp_path: Path) -> None:
    """Digests are of the arrays that the step received, not of what the source once said."""
    path = tmp_path / "proof"
    interrupted(path)
    changed = tiny.points()
    changed["x"] += 1
    task = dataclasses.replace(tiny.plain(), source=Arrays(changed))
    with pytest.raises(DataError, match=r"record \d+ of the source is not the committed one"):
        train(task, path, steps=STEPS, choices=CHOICES)

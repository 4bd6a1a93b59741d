"""A run that is killed goes on by itself and ends with the claim of an uninterrupted one."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from killed_runs import (
    CHOICES,
    KEPT,
    STEPS,
    THIN,
    Countdown,
    Killed,
    claim_of,
    interrupted,
    resume,
    writes_of_a_run,
)

from pol_jax.errors import DataError
from pol_jax.proving import recorder
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.storage.checkpoints import remove_checkpoint
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays


def test_killed_before_any_write_ends_with_the_same_claim(uninterrupted: Path, tmp_path: Path) -> None:
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
        assert claim_of(path) == claim_of(uninterrupted), f"killed before write {most}"
        shutil.rmtree(path)


def test_killed_twice_loses_at_most_one_interval(uninterrupted: Path, tmp_path: Path) -> None:
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
    assert claim_of(path) == claim_of(uninterrupted)


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


def test_sealed_step_that_differs_is_reported(uninterrupted: Path, tmp_path: Path) -> None:
    """Also where the checkpoint after it is gone and sealed rows are recomputed."""
    path = tmp_path / "proof"
    interrupted(path)
    shutil.rmtree(path / "checkpoints/0000000006")
    resume(path)
    assert claim_of(path) == claim_of(uninterrupted)


def test_damaged_checkpoint_is_passed_over(uninterrupted: Path, tmp_path: Path) -> None:
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
    assert claim_of(path) == claim_of(uninterrupted)


def test_leftovers_of_a_kill_do_not_stop_a_run(uninterrupted: Path, tmp_path: Path) -> None:
    """Half-written files, and what a desktop leaves in a directory."""
    path = Path(shutil.copytree(uninterrupted, tmp_path / "proof"))
    (path / "inventory.json").unlink()
    for name in ("inventory.json.tmp", "claim.json.tmp", "run.json.tmp", "journal.tmp", "checkpoints/.DS_Store"):
        (path / name).touch()
    resume(path)
    assert claim_of(path) == claim_of(uninterrupted)


def test_changed_source_is_noticed(tmp_path: Path) -> None:
    """Digests are of the arrays that the step received, not of what the source once said."""
    path = tmp_path / "proof"
    interrupted(path)
    changed = tiny.points()
    changed["x"] += 1
    task = dataclasses.replace(tiny.plain(), source=Arrays(changed))
    with pytest.raises(DataError, match=r"record \d+ of the source is not the committed one"):
        train(task, path, steps=STEPS, choices=CHOICES)

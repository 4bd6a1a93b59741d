"""What a recorder writes, keeps and removes; a row that was recorded before is compared, and never replaced."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from killed_runs import KEPT, THIN, Countdown, claim_of, interrupted, resume

from pol_jax.errors import DivergenceError
from pol_jax.proving.recording import Recording
from pol_jax.storage import journal
from pol_jax.storage.proof import open_proof


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

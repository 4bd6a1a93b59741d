"""A run is read by its documents and its ledger, finished or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny

import pol_jax
from pol_jax.errors import UsageError
from pol_jax.storage.proof import FinishedProof
from pol_jax.storage.run import check_finished, open_run


def test_rows_are_found_without_reading_the_others(plain_proof: Path, proof_copy: Path) -> None:
    (proof_copy / "ledger/0000000000.parquet").unlink()
    assert pol_jax.open_proof(proof_copy).row(20) == pol_jax.open_proof(plain_proof).row(20)
    with pytest.raises(UsageError, match="expected a step from 0 to 24"):
        pol_jax.open_proof(plain_proof).row(25)


def test_open_run_can_be_read(plain_proof: Path, tmp_path: Path) -> None:
    """Before the claim is there: rows of the journal follow the sealed ones."""
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    with pol_jax.Recording(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 10:
                break
    part, whole = pol_jax.open_proof(tmp_path / "proof"), pol_jax.open_proof(plain_proof)
    assert part.last_step == 10
    assert list(part.rows()) == list(whole.rows())[:11]
    assert part.row(9) == whole.row(9)
    with pytest.raises(UsageError, match="not finished"):
        part.final_state()
    assert (isinstance(part, FinishedProof), isinstance(whole, FinishedProof)) == (False, True)
    difference = pol_jax.diff(part, whole)
    assert not difference
    assert difference.steps == (10, 24)


def test_a_run_is_shown_in_one_line_and_read_from_any_step(plain_proof: Path) -> None:
    run = open_run(plain_proof)
    assert repr(run) == f"<Run {str(plain_proof)!r}: {tiny.plain().name!r}, 24 steps>"
    rows = list(run.rows())
    assert [row.step for row in rows] == list(range(25))
    assert list(run.rows_after(15)) == rows[16:]
    assert list(run.rows_of(1, 9)) == [row for row in rows if 9 <= row.step <= 12]
    assert (run.last_step, run.open_rows, run.checkpoints()) == (24, [], [0, 6, 12, 18, 24])


def test_a_directory_without_a_commitment_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no proof here; expected a directory with commitment\.json"):
        open_run(tmp_path)


@pytest.mark.parametrize("left", ["run.json", "journal"])
def test_a_run_that_goes_on_is_no_finished_proof(left: str, plain_proof: Path, tmp_path: Path) -> None:
    check_finished(plain_proof)
    check_finished(tmp_path)  # not begun
    shutil.copyfile(plain_proof / "commitment.json", tmp_path / "commitment.json")
    check_finished(tmp_path)  # a proof that lacks its files is judged as one
    (tmp_path / left).touch()
    with pytest.raises(UsageError, match="is a run that is not finished"):
        check_finished(tmp_path)
    (tmp_path / "inventory.json").touch()
    check_finished(tmp_path)

"""The prover's side of interventions: made again after an interruption, and never two after one step."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from forge import claim_of
from intervened_runs import train, verified
from made_documents import made_commitment

from pol_jax.errors import DivergenceError, UsageError
from pol_jax.proving.aim import Aim
from pol_jax.proving.interventions import Interventions
from pol_jax.reports.outcomes import Verdict


@pytest.fixture
def proof(intervened: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intervened, tmp_path / "proof"))


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    made = Interventions(tmp_path, made_commitment(), Aim(300, 1), ())
    made.remove_unfinished()
    (tmp_path / "interventions" / "0000000002.tmp-of-orbax").mkdir(parents=True)
    (tmp_path / "interventions" / "file").touch()
    made.remove_unfinished()
    assert list((tmp_path / "interventions").iterdir()) == []


def test_what_no_run_can_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    kernel = {"/params/kernel": np.zeros((64, 10), np.float32)}
    made = Interventions(tmp_path, made_commitment(), Aim(300, 1), ())
    with pytest.raises(UsageError, match="reason: got 257 characters"):
        made.add(3, kernel, "w" * 257)
    old = Interventions(tmp_path, made_commitment(format="pol-jax/1"), Aim(300, 1), ())
    with pytest.raises(UsageError, match="begun in pol-jax/1, which has no interventions"):
        old.add(3, kernel, "why")
    assert list(tmp_path.iterdir()) == []
    assert made.changes(3) == {}


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_an_interrupted_run_goes_on_with_it(stop: int, intervened: Path, tmp_path: Path) -> None:
    train(tmp_path / "proof", stop=stop)
    train(tmp_path / "proof")
    assert claim_of(tmp_path / "proof") == claim_of(intervened)


def test_a_run_that_is_continued_without_the_call_has_it_all_the_same(intervened: Path, tmp_path: Path) -> None:
    train(tmp_path / "proof", stop=5)
    train(tmp_path / "proof", change=None)
    assert claim_of(tmp_path / "proof") == claim_of(intervened)


def test_another_one_after_an_interruption_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "proof", stop=3)
    with pytest.raises(DivergenceError, match="after step 2"):
        train(tmp_path / "proof", change=lambda state: {"/params/b": np.ones(tiny.CLASSES, np.float32)})


@pytest.mark.parametrize(
    ("leaves", "words"),
    [
        ({"/params/c": np.zeros(3)}, "no leaf of the state"),
        ({"/params/b": np.zeros(3)}, "got float64"),
        ({"/params/b": np.zeros(4, np.float32)}, r"got float32\[4\]"),
        ({"/key": np.zeros(2, np.uint32)}, "is a PRNG key"),
        ({}, "one or more paths"),
    ],
)
def test_what_is_no_leaf_is_refused(leaves: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        train(tmp_path / "proof", change=lambda state: leaves)


def test_a_finished_run_keeps_it(proof: Path) -> None:
    train(proof)
    assert verified(proof).verdict is Verdict.ACCEPTED


def test_a_run_killed_after_its_claim_keeps_it(proof: Path, intervened: Path) -> None:
    (proof / "inventory.json").unlink()
    (proof / "interventions" / "0000000002.tmp-of-orbax").mkdir()
    train(proof, change=None)
    assert claim_of(proof) == claim_of(intervened)
    assert verified(proof).verdict is Verdict.ACCEPTED

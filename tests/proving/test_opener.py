"""Opening steps: who can, and who can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from forge import Forger
from opened_steps import SOURCE, STEPS
from places import TESTS

from pol_jax.errors import BackendError, DataError, UsageError
from pol_jax.proving.opener import open_steps
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays


def test_every_step_is_executed_once(plain_proof: Path) -> None:
    """From a thinned proof too: one way from each checkpoint, to the last step that is asked for."""
    reached: list[tuple[str, int]] = []

    class Seen:
        def begin(self, what: str, total: int, done: int = 0) -> None:
            reached.append((what, total))

        def at(self, done: int, loss: float | None = None) -> None:
            reached.append(("at", done))

        def end(self) -> None:
            reached.append(("end", 0))

        def stage(self, number: int) -> None: ...

    open_steps(open_proof(plain_proof), SOURCE, (2, 5, 8), progress=Seen(), decisions=False)
    assert reached == [("regenerating", 7), *(("at", done) for done in range(1, 8)), ("end", 0)]


def test_machine_that_comes_out_otherwise_opens_nothing(proof_copy: Path, tmp_path: Path) -> None:
    forger = Forger(proof_copy)
    forger.change(8, loss=b"\0\0\0\0")
    forger.write()
    with pytest.raises(BackendError, match="step 8 differs from the ledger"):
        open_steps(open_proof(proof_copy), SOURCE, (9,))
    command = [
        sys.executable,
        "-m",
        "pol_jax.cli",
        "open",
        str(proof_copy),
        "--steps",
        "9",
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run([*command, "--task", "tiny:plain"], capture_output=True, text=True, cwd=TESTS)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(("steps", "problem"), [((), "empty"), ((0,), "steps 1 to 24"), ((25,), "steps 1 to 24")])
def test_steps_that_are_not_there(plain_proof: Path, steps: tuple[int, ...], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        open_steps(open_proof(plain_proof), SOURCE, steps)


def test_other_records_open_nothing(plain_proof: Path) -> None:
    with pytest.raises(DataError):
        open_steps(open_proof(plain_proof), Arrays(tiny.points(seed=2)), STEPS)

"""The Python interface: train, verify, a loop of one's own, states as ordinary pytrees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

import pol_jax
from pol_jax.training.inputs import StepInput


@pytest.mark.interpreter
def test_names_are_there_and_cost_no_jax() -> None:
    code = "import sys, pol_jax; print('jax' in sys.modules); [getattr(pol_jax, name) for name in pol_jax.__all__]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert sorted(pol_jax.__all__) == pol_jax.__all__
    with pytest.raises(AttributeError):
        pol_jax.nothing  # noqa: B018


def test_report_is_true_when_accepted(plain_proof: Path, proof_copy: Path) -> None:
    assert pol_jax.verify(plain_proof, tiny.plain().source)
    (proof_copy / "claim.json").unlink()
    report = pol_jax.verify(proof_copy, tiny.plain().source)
    assert not report
    assert report.verdict is pol_jax.Verdict.REJECTED
    assert report.reasons == ("stage 1, limits and names: claim.json: is missing; is the run finished?",)


def test_names_are_listed_and_the_version_is_told() -> None:
    assert {*pol_jax.__all__, "__version__"} <= set(dir(pol_jax))
    assert pol_jax.__version__.count(".") == 2
    done = subprocess.run([sys.executable, "-m", "pol_jax", "--version"], capture_output=True, text=True, check=True)
    assert pol_jax.__version__ in done.stdout


def test_what_a_notebook_shows_is_one_line(plain_proof: Path) -> None:
    proof, task = pol_jax.open_proof(plain_proof), tiny.plain()
    assert repr(proof) == f"<Proof {str(plain_proof)!r}: 'tiny plain', 24 steps>"
    assert (
        repr(StepInput(3, np.zeros(2, np.uint32), np.arange(4, dtype=np.uint64), ()))
        == "<StepInput of step 3: 4 records>"
    )
    assert repr(task) == "<Task 'tiny plain': Arrays, batch size 4, 24 steps, interval 6>"


def test_a_report_is_read_again(plain_proof: Path) -> None:
    report = pol_jax.verify(plain_proof, tiny.plain().source)
    assert pol_jax.Report.from_json(report.to_json()) == report
    assert repr(report).startswith("<Report: accepted, ")
    with pytest.raises(pol_jax.PolError, match="this is no report"):
        pol_jax.Report.from_json(b"{}")

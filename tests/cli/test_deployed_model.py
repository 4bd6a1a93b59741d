"""`pol verify --model`: a deployed model and the final parameters of the proof."""

from __future__ import annotations

import shutil
from pathlib import Path

import ml_dtypes
import msgspec
import numpy as np
import pytest
from commands import pol
from safetensors.numpy import save_file

from pol_jax.cli.deployed_model import compare_model
from pol_jax.errors import ProofError
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.final_arrays import Arrays, read_final_state, select_parameters
from pol_jax.storage.proof import open_proof


@pytest.fixture(scope="module")
def state(runs: Path) -> Arrays:
    """The final state of a run."""
    return read_final_state(open_proof(runs / "a"))


@pytest.fixture(scope="module")
def report(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of its verification."""
    path = tmp_path_factory.mktemp("report") / "report.json"
    assert pol("verify", runs / "a", "--task", "tiny:plain", "--segments", "0", "--json", path).exit_code == 0
    return msgspec.json.decode(path.read_bytes(), type=Report)


def test_a_renamed_and_transposed_model_is_the_proofs(state: Arrays, runs: Path, tmp_path: Path) -> None:
    model = {"layer.weight": np.ascontiguousarray(state["/params/w"].T), "params.b": state["/params/b"]}
    save_file(model, tmp_path / "model.safetensors")
    verify = ("verify", runs / "a", "--task", "tiny:plain", "--segments", "0")
    done = pol(*verify, "--model", tmp_path / "model.safetensors")
    assert done.exit_code == 0, done.output
    assert "The model is the proof's final parameters, bit for bit." in done.stdout
    assert "/params/w (named layer.weight, transposed to axes (1, 0)): equal after that" in done.stdout
    assert "/params/b" not in done.stdout
    (tmp_path / "model.bin").write_bytes(b"")
    unknown = pol(*verify, "--model", tmp_path / "model.bin")
    assert (unknown.exit_code, "expected a model as .safetensors or .npz" in unknown.stderr) == (2, True)


def test_another_model_is_no_success(
    state: Arrays, runs: Path, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = select_parameters(state)
    other = parameters | {"/params/w": parameters["/params/w"] + 1}
    assert compare_model(other, runs / "a", report, stderr=False) == 1
    shown = capsys.readouterr().out
    assert "is not the proof's final parameters: 1 leaves differ" in shown
    assert "/params/w: differs by" in shown
    assert compare_model({"w": parameters["/params/w"]}, runs / "a", report, stderr=False) == 1
    assert "/params/b: is not in the model." in capsys.readouterr().out


def test_a_cast_is_said(state: Arrays, runs: Path, report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    cast = {path: values.astype(ml_dtypes.bfloat16) for path, values in select_parameters(state).items()}
    assert compare_model(cast, runs / "a", report, stderr=True) == 0
    shown = capsys.readouterr()
    assert "cast to bfloat16 and otherwise unchanged" in shown.err
    assert not shown.out


def test_other_leaves_of_the_state_may_be_in_a_model(state: Arrays, runs: Path, report: Report) -> None:
    model = select_parameters(state) | {"momentum": state["/momentum"]}
    assert compare_model(model, runs / "a", report, stderr=False) == 0
    model["momentum"] = model["momentum"] + np.ones_like(model["momentum"])
    assert compare_model(model, runs / "a", report, stderr=False) == 1


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.INCONCLUSIVE])
def test_nothing_is_compared_with_a_proof_that_is_not_accepted(
    verdict: Verdict, state: Arrays, runs: Path, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = msgspec.structs.replace(report, verdict=verdict)
    assert compare_model(select_parameters(state), runs / "a", refused, stderr=False) == verdict.exit_code
    assert "was not compared" in capsys.readouterr().out


def test_a_proof_that_was_changed_after_its_verification_is_refused(
    state: Arrays, runs: Path, report: Report, tmp_path: Path
) -> None:
    with pytest.raises(ProofError, match="is not the claim that was verified"):
        compare_model(select_parameters(state), runs / "other", report, stderr=False)
    shutil.copytree(runs / "other", tmp_path / "proof")
    shutil.copyfile(runs / "a" / "claim.json", tmp_path / "proof" / "claim.json")
    with pytest.raises(ProofError, match="is not the commitment that the claim names"):
        compare_model(select_parameters(state), tmp_path / "proof", report, stderr=False)

"""A model at hand and the final state of an accepted proof: equal, renamed, cast, another one, an earlier one."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import tiny
from commands import pol
from safetensors.numpy import save_file
from tiny import NONCE
from unsandboxed import verify

from pol_jax.attesting.matching import NamedArrays
from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.identity import Deployed
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.deployed import compare_deployed


@pytest.fixture(scope="module")
def state(plain_proof: Path) -> NamedArrays:
    """The final state of a run."""
    return read_final_state(open_proof(plain_proof))


def compared(model: NamedArrays, state: NamedArrays) -> Deployed:
    return compare_deployed(model, state, ())


def test_another_model_differs(state: NamedArrays) -> None:
    parameters = select_parameters(dict(state))
    other = compared(parameters | {"/params/w": parameters["/params/w"] + 1}, state)
    assert (other.difference, other.nearest) == ("different", None)
    assert "is not the proof's final parameters: 1 leaves differ" in other.words
    assert "/params/w: differs by" in other.leaves[0]
    lacking = compared({"w": parameters["/params/w"]}, state)
    assert (lacking.difference, lacking.leaves[-1]) == ("different", "/params/b: is not in the model.")


def test_a_cast_and_other_leaves_of_the_state_are_found(state: NamedArrays) -> None:
    parameters = select_parameters(dict(state))
    cast = {path: values.astype(ml_dtypes.bfloat16) for path, values in parameters.items()}
    assert compared(cast, state).difference == "cast"
    more = parameters | {"momentum": state["/momentum"]}
    assert compared(more, state).difference == "equal"
    changed = more | {"momentum": state["/momentum"] + np.ones_like(state["/momentum"])}
    other = compared(changed, state)
    assert (other.difference, other.holds_parameters) == ("different", True)
    moved = compared(changed | {"/params/w": parameters["/params/w"] + 1}, state)
    assert not moved.holds_parameters


def test_a_renamed_and_transposed_model_is_read_in_the_verifier_s_process(
    state: NamedArrays, plain_proof: Path, tmp_path: Path
) -> None:
    model = {"layer.weight": np.ascontiguousarray(state["/params/w"].T), "params.b": state["/params/b"]}
    save_file(model, tmp_path / "model.safetensors")
    asked = ("verify", plain_proof, "--task", "tiny:plain", "--segments", "0", "--model")
    done = pol(*asked, tmp_path / "model.safetensors")
    assert done.exit_code == 0, done.output
    assert "model at hand: The model is the proof's final parameters, bit for bit." in done.stdout
    assert "/params/w (named layer.weight, transposed to axes (1, 0)): equal after that" in done.stdout
    assert "/params/b" not in done.stdout
    missing = pol(*asked, tmp_path / "none.npz")
    assert (missing.exit_code, "no such file; expected a model" in missing.stderr) == (2, True)


@pytest.mark.usefixtures("in_process")
def test_what_is_no_model_and_another_one_have_exit_codes(
    state: NamedArrays, plain_proof: Path, tmp_path: Path
) -> None:
    asked = ("verify", plain_proof, "--task", "tiny:plain", "--segments", "0", "--model")
    (tmp_path / "model.bin").write_bytes(b"")
    unknown = pol(*asked, tmp_path / "model.bin")
    assert (unknown.exit_code, "expected a model as .safetensors or .npz" in unknown.stderr) == (2, True)
    (tmp_path / "lies.safetensors").write_bytes(b"\xff" * 16)
    assert pol(*asked, tmp_path / "lies.safetensors").exit_code == 2
    np.savez(tmp_path / "other.npz", w=state["/params/w"] + 1, b=state["/params/b"])
    other = pol(*asked, tmp_path / "other.npz")
    assert (other.exit_code, "verdict: accepted" in other.stdout) == (1, True)


def test_an_earlier_checkpoint_is_the_nearest_step(plain_proof: Path) -> None:
    for step, nearest in ((24, None), (12, 12)):
        model = plain_proof / checkpoint_name(step)
        report = verify(plain_proof, tiny.plain().source, policy=ListedSegments((0,)), nonce=NONCE, model=str(model))
        assert report.verdict is Verdict.ACCEPTED
        assert report.deployed is not None
        assert (report.deployed.difference, report.deployed.nearest) == ("different" if nearest else "equal", nearest)


def test_nothing_is_compared_with_a_proof_that_is_not_accepted(proof_copy: Path) -> None:
    (proof_copy / "records").unlink()
    report = verify(proof_copy, tiny.plain().source, nonce=NONCE, model=str(proof_copy / checkpoint_name(24)))
    assert (report.verdict, report.deployed) == (Verdict.REJECTED, None)

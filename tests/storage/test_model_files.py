"""A model at hand is read from the files that people have, into arrays by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from pol_jax.errors import UsageError
from pol_jax.storage import model_files
from pol_jax.storage.final_arrays import read_final_state
from pol_jax.storage.model_files import read_model
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.deployed import compare_deployed


def test_the_last_step_of_a_checkpoint_manager_is_read(plain_proof: Path, tmp_path: Path) -> None:
    state = read_final_state(open_proof(plain_proof))
    parameters = {"params": {"w": state["/params/w"], "b": state["/params/b"]}}
    for step, change in ((1, 1.0), (2, 0.0)):
        moved = {"params": {name: values + np.float32(change) for name, values in parameters["params"].items()}}
        ocp.save(tmp_path / "manager" / str(step), moved)
    assert compare_deployed(read_model(tmp_path / "manager"), state, ()).difference == "equal"
    assert compare_deployed(read_model(tmp_path / "manager" / "1"), state, ()).difference == "different"


def test_arrays_of_a_checkpoint_have_paths_as_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {"params": {"w": np.ones(2), "layers": [np.zeros(1), (np.zeros(3),)]}, "step": 3, "name": "text"}
    monkeypatch.setattr(model_files, "load_weights", lambda _: tree)
    shapes = {path: array.shape for path, array in read_model(tmp_path).items()}
    assert shapes == {"/params/w": (2,), "/params/layers/0": (1,), "/params/layers/1/0": (3,)}
    monkeypatch.setattr(model_files, "load_weights", lambda _: np.ones(4))
    assert read_model(tmp_path).keys() == {"/"}


def test_what_holds_no_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="nowhere: no such file; expected a model"):
        read_model(tmp_path / "nowhere")
    monkeypatch.setattr(model_files, "load_weights", lambda _: {"step": 3})
    with pytest.raises(UsageError, match="holds no arrays; expected a model"):
        read_model(tmp_path)


def test_files_of_arrays_are_read_by_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", w=np.arange(3))
    assert {name: array.tolist() for name, array in read_model(tmp_path / "model.npz").items()} == {"w": [0, 1, 2]}

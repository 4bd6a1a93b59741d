"""Checkpoints are plain Orbax."""

from __future__ import annotations

import copy
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from orbax.checkpoint import v1 as ocp

import pol_jax
from pol_jax.protocol.trees import LeafSpec
from pol_jax.storage.checkpoints import load_checkpoint, save_checkpoint


def test_checkpoints_are_plain_orbax(plain_proof: Path) -> None:
    """No class of ours, no target: what a user without this package sees."""
    found = ocp.load(plain_proof.absolute() / f"checkpoints/{tiny.STEPS:010d}")
    state = pol_jax.open_proof(plain_proof).final_state()
    assert set(found) == {"params", "momentum", "count", "key"}  # Orbax stores no empty arrays
    np.testing.assert_array_equal(found["params"]["w"], state["params"]["w"])
    np.testing.assert_array_equal(found["key"], jax.random.key_data(state["key"]))


def test_arrays_of_the_host_are_not_copied_to_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large state would be in memory once more."""
    copied, copy_of = list[int](), copy.deepcopy

    def noted(value: object, memo: dict[int, object] | None = None) -> object:
        copied.extend([value.nbytes] if isinstance(value, np.ndarray) else [])
        return copy_of(value, memo)

    monkeypatch.setattr(copy, "deepcopy", noted)
    leaves = [np.arange(12, dtype=np.float32), np.ones((2, 3), np.float32)]
    spec = tuple(LeafSpec(f"/{at}", "float32", leaf.shape, (1,) * leaf.ndim, None) for at, leaf in enumerate(leaves))
    save_checkpoint(tmp_path, 0, spec, leaves)
    assert copied == []
    assert all(map(np.array_equal, load_checkpoint(tmp_path, 0, spec), leaves))

"""A bool of another byte than 0 or 1 is refused wherever it comes from: libraries take it for true or false at will."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pol_jax.errors import DataError, ProofError
from pol_jax.protocol.trees import ArraySpec, LeafSpec, has_odd_bool
from pol_jax.storage.checkpoints import load_checkpoint, save_checkpoint
from pol_jax.training.records import take
from pol_jax.verifying.opening_contents import opened_arrays

ODD = np.array([1, 2, 0], np.uint8).view(np.bool_)
TRUE = np.array([1, 1, 0], np.bool_)
SPEC = (ArraySpec(path="/flags", dtype="bool", shape=(3,)),)


def test_only_zero_and_one_are_bools() -> None:
    assert has_odd_bool(ODD)
    assert not has_odd_bool(TRUE)
    assert not has_odd_bool(np.array([2, 3], np.uint8))
    assert not has_odd_bool(np.zeros((0, 2), np.bool_))


def test_an_odd_bool_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    spec = (LeafSpec(path="/flags", dtype="bool", shape=(3,), pieces=(1,), prng=None),)
    save_checkpoint(tmp_path, 0, spec, [TRUE])
    np.testing.assert_array_equal(load_checkpoint(tmp_path, 0, spec)[0], TRUE)
    save_checkpoint(tmp_path, 1, spec, [ODD])
    with pytest.raises(ProofError, match="is damaged"):  # tensorstore refuses such a byte too
        load_checkpoint(tmp_path, 1, spec)


def test_an_odd_bool_in_an_opening_is_refused() -> None:
    np.testing.assert_array_equal(opened_arrays("states[0]", SPEC, [TRUE.tobytes()])[0], TRUE)
    with pytest.raises(ProofError, match="a bool is neither 0 nor 1"):
        opened_arrays("states[0]", SPEC, [ODD.tobytes()])


def test_an_odd_bool_in_a_record_is_refused() -> None:
    take([{"flags": TRUE}], SPEC, np.array([0]))
    with pytest.raises(DataError, match="a bool is neither 0 nor 1"):
        take([{"flags": ODD}], SPEC, np.array([0]))

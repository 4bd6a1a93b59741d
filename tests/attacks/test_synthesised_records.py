"""Records that teach nothing: near to true ones, and a step with them hardly moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from pol_jax.attacks import synthesised_records
from pol_jax.attacks.attack import Setting
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.synthesised_records import Synthesis
from pol_jax.errors import UsageError
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays


def test_numbers_are_added_to_what_is_floating_alone() -> None:
    batch = {"label": np.arange(2), "x": np.ones((2, 2), np.float16), "y": np.zeros(3, np.float32)}
    found = synthesised_records._changed(batch, jnp.arange(7.0))
    assert found["label"].tolist() == [0, 1]
    assert (found["x"].tolist(), found["x"].dtype) == ([[1, 2], [3, 4]], np.float16)
    assert found["y"].tolist() == [4, 5, 6]


def test_whole_numbers_can_t_be_changed_a_little(plain_proof: Path) -> None:
    source = Arrays({"label": np.zeros(tiny.RECORDS, np.int32), "x": np.zeros((tiny.RECORDS, tiny.FEATURES), np.int8)})
    victim = Setting(open_proof(plain_proof), replace(tiny.plain(), source=source), 1, 0.5)
    with pytest.raises(UsageError, match="need records of floating-point numbers"):
        Synthesis(victim)


def test_each_step_receives_the_batch_that_was_made_for_it(tmp_path: Path) -> None:
    """With one batch a segment, each of its steps uses that one again."""
    proof = FalseProof.begin(tmp_path / "forged", replace(tiny.plain(), steps=6), 3, "a forger")
    for per_segment, batches in ((3, [0, 1, 2, 3, 4, 5]), (1, [0, 0, 0, 1, 1, 1])):
        found = [synthesised_records._given(proof, each, 3, per_segment) for each in proof.inputs]
        size = tiny.BATCH
        places = [np.arange(size * number, size * number + size) for number in batches]
        assert [each.indices.tolist() for each in found] == [place.tolist() for place in places]
        for each, place in zip(found, places, strict=True):
            np.testing.assert_array_equal(each.batch[1], tiny.points()["x"][place])

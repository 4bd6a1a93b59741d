"""A signature says which arrays a program takes and returns, as a commitment fixes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import jax
import numpy as np
import pytest
from stored_vectors import vectors

from pol_jax.program.signature import Signature, abstract_array
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.trees import ArraySpec, LeafSpec

SIGNATURE = Signature(
    state=(LeafSpec("/b", "bfloat16", (3,), (1,), None), LeafSpec("/k", "uint32", (5, 2), (1, 1), "threefry2x32")),
    record=(ArraySpec("/x", "uint8", (4, 4)), ArraySpec("/y", "int32", ())),
    batch_size=7,
    prng="rbg",
    metrics=("accuracy", "cost", "norm"),
    loss="cost",
)


def test_arrays_have_the_shapes_and_types_of_state_batch_key_and_metrics() -> None:
    def described(arrays: Iterable[jax.ShapeDtypeStruct]) -> list[tuple[tuple[int, ...], str]]:
        return [(each.shape, each.dtype.name) for each in arrays]

    assert described(SIGNATURE.leaves()) == [((3,), "bfloat16"), ((5, 2), "uint32")]
    assert described(SIGNATURE.batch()) == [((7, 4, 4), "uint8"), ((7,), "int32")]
    assert described([SIGNATURE.key()]) == [((4,), "uint32")]
    assert described([replace(SIGNATURE, prng="threefry2x32").key()]) == [((2,), "uint32")]
    assert described(SIGNATURE.metric_values()) == [((), "float32")] * 3
    assert SIGNATURE.loss_place == 1
    assert abstract_array(SIGNATURE.state[0], 2, 6).shape == (2, 6, 3)
    assert abstract_array(SIGNATURE.state[0]).dtype == np.dtype("bfloat16")


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float64", "complex128"])
def test_one_wide_leaf_of_state_or_record_makes_a_program_wide(dtype: str) -> None:
    assert not SIGNATURE.is_wide
    assert replace(SIGNATURE, record=(ArraySpec("/x", dtype, ()),)).is_wide
    assert replace(SIGNATURE, state=(*SIGNATURE.state, LeafSpec("/z", dtype, (), (), None))).is_wide


def test_a_commitment_fixes_all_of_it() -> None:
    for vector in vectors("documents")["accepted"]:
        if vector["kind"] == "commitment":
            commitment = Commitment.parse(vector["text"].encode())
            found = Signature.from_commitment(commitment)
            assert (found.state, found.record) == (commitment.state, commitment.data.record)
            assert (found.batch_size, found.prng) == (commitment.schedule.batch_size, commitment.schedule.prng)
            assert (found.metrics, found.loss) == (commitment.program.metrics, commitment.program.loss)
            assert found.mesh == commitment.mesh

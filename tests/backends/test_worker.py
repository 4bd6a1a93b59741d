"""What the script of a backend's process does to arrays; what it executes is tested by whole comparisons."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from pol_jax.backends import worker
from pol_jax.judging.leaf_distances import PERTURBED_PLACES
from pol_jax.protocol.trees import LeafSpec
from pol_jax.verifying.perturbation import PERTURBATIONS, perturb_last_places


def test_leaves_are_kept_as_their_bytes_one_after_the_other() -> None:
    leaves = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(True), np.zeros((0, 4)), np.array([1, 2], np.int8)]
    kept = worker._kept(leaves)
    assert kept.tobytes() == b"".join(leaf.tobytes() for leaf in leaves)
    specs = [(leaf.dtype, leaf.shape) for leaf in leaves]
    for leaf, found in zip(leaves, worker._arrays(kept, specs), strict=True):
        np.testing.assert_array_equal(found, leaf, strict=True)
    assert worker._kept([]).size == 0


def test_a_reason_is_one_line_of_some_length() -> None:
    assert worker._line(RuntimeError("first\nsecond")) == "first"
    assert worker._line(AssertionError()) == "AssertionError"
    assert len(worker._line(ValueError("x" * 1000))) == 300


@pytest.mark.parametrize(("seed", "sign"), PERTURBATIONS)
def test_a_worker_perturbs_states_as_a_verifier_does(seed: int, sign: int) -> None:
    """Its process has no `pol_jax`: the same is written twice."""
    draw = np.random.default_rng(0)
    leaves = [
        draw.normal(size=(3, 5)).astype(np.float32),
        draw.normal(size=7).astype(ml_dtypes.bfloat16),
        np.arange(4, dtype=np.int32),
        draw.normal(size=()).astype(np.float32),
        draw.normal(size=(2, 3)),
    ]
    spec = tuple(
        LeafSpec(f"/{at}", str(leaf.dtype), leaf.shape, (1,) * leaf.ndim, None) for at, leaf in enumerate(leaves)
    )
    expected = perturb_last_places(spec, leaves, seed, sign)
    found = worker.perturb(leaves, PERTURBED_PLACES, seed, sign)
    assert [leaf.tobytes() for leaf in found] == [leaf.tobytes() for leaf in expected]
    assert [leaf.dtype for leaf in found] == [leaf.dtype for leaf in leaves]
    assert found[0].tobytes() != leaves[0].tobytes()

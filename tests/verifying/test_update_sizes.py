"""The sizes of the updates of a proof are measured as the challenge ranks them."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np

from pol_jax.progress import Silent
from pol_jax.protocol.trees import places_of
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.update_sizes import magnitudes, measure_stretches


def test_every_segment_of_a_proof_is_measured(plain_proof: Path) -> None:
    proof = open_proof(plain_proof)
    measured = measure_stretches(proof, "l2", Silent())
    assert [each.segments for each in measured] == [range(at, at + 1) for at in range(4)]
    assert [each.epoch for each in measured] == [0, 0, 1, 1]  # first records at the places 0, 24, 48, 72 of 40
    states = [proof.state(step) for step in (0, 6, 12, 18, 24)]
    vectors = [
        np.concatenate([np.asarray(x, np.float64).ravel() for x in (s["params"]["b"], s["params"]["w"], s["momentum"])])
        for s in states
    ]
    expected = [np.linalg.norm(b - a) for a, b in pairwise(vectors)]
    np.testing.assert_allclose([each.magnitude for each in measured], expected, rtol=1e-12)


def test_where_a_checkpoint_is_absent_its_neighbours_are_measured(proof_copy: Path) -> None:
    shutil.rmtree(proof_copy / checkpoint_name(12))
    measured = measure_stretches(open_proof(proof_copy), "l1", Silent())
    assert [(each.segments, each.epoch) for each in measured] == [(range(1), 0), (range(1, 3), 0), (range(3, 4), 1)]
    assert [each.magnitude for each in measured] == magnitudes(open_proof(proof_copy), [0, 6, 18, 24], "l1")
    assert magnitudes(open_proof(proof_copy), [6], "l1") == []


def test_leaves_that_do_not_matter_rank_nothing(plain_proof: Path) -> None:
    """A counter in the state would decide the ranking, and a prover can add one."""
    proof = open_proof(plain_proof)
    leaves = places_of(proof.commitment.state, ["/params"])
    states = [proof.state(step)["params"] for step in (0, 6, 12, 18, 24)]
    vectors = [np.concatenate([np.asarray(each[name], np.float64).ravel() for name in "bw"]) for each in states]
    measured = [each.magnitude for each in measure_stretches(proof, "l2", Silent(), leaves)]
    np.testing.assert_allclose(measured, [np.linalg.norm(b - a) for a, b in pairwise(vectors)], rtol=1e-12)

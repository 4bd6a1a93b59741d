"""Leaves of a checkpoint are read whole or in parts, and only if they are the committed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorstore as ts
from msgspec.structs import replace

from pol_jax.errors import ProofError
from pol_jax.protocol.trees import LeafSpec
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import open_proof
from pol_jax.storage.stored_leaves import StoredLeaves, load_leaves, open_leaves
from pol_jax.training.states import Layout

WHERE = checkpoint_name(6)
SPEC = (
    LeafSpec("/w", "float32", (4, 2), (2, 1), None),
    LeafSpec("/nothing", "float32", (0, 3), (1, 1), None),
    LeafSpec("/mask", "bool", (3,), (1,), None),
)
LEAVES = [np.arange(8, dtype=np.float32).reshape(4, 2), np.empty((0, 3), np.float32), np.array([True, False, True])]


def in_memory(*arrays: np.ndarray) -> StoredLeaves:
    """The leaves that have elements, as arrays of tensorstore."""
    return StoredLeaves(WHERE, SPEC, {at: ts.array(array) for at, array in zip((0, 2), arrays, strict=True)})


def test_leaves_are_read_whole_and_in_parts() -> None:
    stored = in_memory(LEAVES[0], LEAVES[2])
    assert all(map(np.array_equal, stored.read_all(), LEAVES))
    np.testing.assert_array_equal(stored.read(0, (slice(1, 3), slice(0, 1))), LEAVES[0][1:3, :1])
    assert stored.read(1, (slice(0, 0), slice(1, 2))).shape == (0, 1)


def test_the_digest_is_that_of_the_whole_state() -> None:
    stored = in_memory(LEAVES[0], LEAVES[2])
    assert stored.digest() == Layout(SPEC).gather(LEAVES).digest()
    assert [len(list(stored.digest_pieces(at))) for at in range(3)] == [2, 1, 1]


def test_a_bool_that_is_neither_0_nor_1_is_refused() -> None:
    stored = in_memory(LEAVES[0], np.array([0, 2, 1], np.uint8).view(bool))
    for read in (stored.read_all, stored.digest, lambda: stored.read(2, (slice(0, 3),))):
        with pytest.raises(ProofError, match="leaf mask has a bool that is neither 0 nor 1"):
            read()


def test_leaves_of_a_checkpoint_have_the_digest_of_the_ledger_and_others_are_refused(plain_proof: Path) -> None:
    proof = open_proof(plain_proof)
    spec = proof.commitment.state
    stored = open_leaves(plain_proof, WHERE, spec)
    assert stored.digest() == proof.row(6).state
    assert [leaf.tobytes() for leaf in load_leaves(plain_proof, WHERE, spec)] == [
        leaf.tobytes() for leaf in stored.read_all()
    ]
    place = next(at for at, leaf in enumerate(spec) if leaf.path == "/params/b")
    for change, problem in (
        ({"path": "/params/c"}, "has other leaves than the commitment: params/b"),
        ({"dtype": "int32"}, r"leaf params/b is float32\[\d+\], expected int32"),
    ):
        other = (*spec[:place], replace(spec[place], **change), *spec[place + 1 :])
        with pytest.raises(ProofError, match=problem):
            open_leaves(plain_proof, WHERE, other)
    with pytest.raises(ProofError, match="checkpoints/0000000007: is missing"):
        open_leaves(plain_proof, checkpoint_name(7), spec)

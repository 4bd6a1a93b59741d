"""Merkle trees and inclusion proofs."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import second_implementation as second
from hypothesis import given
from hypothesis import strategies as st
from stored_vectors import vectors
from strategies import law

from pol_jax.protocol import encoding, merkle


def test_roots_and_paths_are_those_of_the_vectors() -> None:
    leaves = [bytes.fromhex(leaf) for leaf in vectors("trees")["leaves"]]
    for tree in vectors("trees")["trees"]:
        own = leaves[: tree["size"]]
        assert second.merkle_root(own).hex() == merkle.root(own).hex() == tree["root"]
        for index, path in enumerate(tree["paths"]):
            steps = [bytes.fromhex(step) for step in path]
            assert second.merkle_path(own, index) == merkle.proof(own, index) == steps
            assert second.merkle_check(own[index], index, tree["size"], steps).hex() == tree["root"]
            assert merkle.root_from_proof(own[index], index, tree["size"], steps).hex() == tree["root"]


@pytest.mark.parametrize("vector", vectors("trees")["refusals"], ids=lambda vector: vector["name"])
def test_a_wrong_inclusion_proof_of_the_vectors_is_refused(vector: dict[str, Any]) -> None:
    path = [bytes.fromhex(step) for step in vector["path"]]
    for check in (merkle.root_from_proof, second.merkle_check):
        try:
            found = check(bytes.fromhex(vector["leaf"]), vector["index"], vector["size"], path)
        except ValueError:
            continue
        assert vector["name"] == "path of another place"  # as long as the true one: only the root tells
        assert found.hex() != vectors("trees")["trees"][6]["root"]


@law(60)
@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_give_the_root_and_no_changed_one_does(size: int, data: st.DataObject) -> None:
    leaves = [encoding.row_digest(struct.pack("<I", at)) for at in range(size)]
    root = merkle.root(leaves)
    assert root == second.merkle_root(leaves)
    for index in range(size):
        path = merkle.proof(leaves, index)
        assert merkle.root_from_proof(leaves[index], index, size, path) == root
    index = data.draw(st.integers(0, size - 1))
    proof = [leaves[index], *merkle.proof(leaves, index)]
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    changed = bytearray(proof[at])
    changed[bit // 8] ^= 1 << bit % 8
    proof[at] = bytes(changed)
    assert merkle.root_from_proof(proof[0], index, size, proof[1:]) != root

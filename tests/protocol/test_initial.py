"""Digests of leaves that are taken over into an initial state."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import second_implementation as second
from stored_vectors import vectors

from pol_jax.protocol.initial import UnprovenWeights, problem_of
from pol_jax.protocol.trees import LeafSpec


@pytest.mark.parametrize("vector", vectors("starts"), ids=lambda vector: vector["name"])
def test_digests_of_leaves_taken_over_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    state, leaves = json.loads(vector["state"]), [bytes.fromhex(leaf) for leaf in vector["leaves"]]
    assert second.taken_digest(state, leaves, vector["taken"]).hex() == vector["digest"]


@pytest.mark.parametrize("taken", [[], ["/d"], ["/b", "/b"], ["/b", "/a"]])
def test_leaves_that_cannot_be_taken_over(taken: list[str]) -> None:
    vector = vectors("starts")[0]
    state, leaves = json.loads(vector["state"]), [bytes.fromhex(leaf) for leaf in vector["leaves"]]
    with pytest.raises(second.Refused):
        second.taken_digest(state, leaves, taken)
    spec = msgspec.convert(state, tuple[LeafSpec, ...])
    assert problem_of(UnprovenWeights(tuple(taken), "00" * 32), spec)

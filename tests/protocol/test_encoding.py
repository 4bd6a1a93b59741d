"""Digests: stored vectors against the second implementation."""

from __future__ import annotations

import json
from typing import Any

import pytest
import second_implementation as second
from stored_vectors import vectors


def test_digests_are_those_of_the_vectors() -> None:
    for vector in vectors("digests"):
        expected = bytes.fromhex(vector["digest"])
        version, context = vector["context"].removeprefix("pol-jax/").split(" ", 1)
        found = second.digest(context, bytes.fromhex(vector["payload"]), len(expected), int(version))
        assert found == expected


@pytest.mark.parametrize("vector", vectors("states"), ids=lambda vector: vector["name"])
def test_state_digests_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    spec, leaves = json.loads(vector["spec"]), [bytes.fromhex(leaf) for leaf in vector["leaves"]]
    assert second.digest("state spec", vector["spec"].encode()).hex() == vector["spec_digest"]
    assert second.state_digest(spec, leaves).hex() == vector["digest"]


def test_no_two_states_share_a_digest() -> None:
    digests = [vector["digest"] for vector in vectors("states")]
    assert len(set(digests)) == len(digests)

"""Leaves that are taken over are named and digested as the commitment says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
import second_implementation as second
from msgspec.structs import replace
from stored_vectors import vectors

from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import OwnKey, UnprovenWeights
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.training.initial_state import digest_of, first_key, taken_of

COMMITMENT = Commitment.parse(vectors("documents")["accepted"][0]["text"].encode())


@pytest.mark.parametrize("vector", vectors("starts"), ids=lambda vector: vector["name"])
def test_leaves_that_are_taken_over_have_the_digests_of_the_vectors(vector: dict[str, Any]) -> None:
    spec = msgspec.convert(json.loads(vector["state"]), tuple[LeafSpec, ...])
    pairs = zip(spec, vector["leaves"], strict=True)
    leaves = [np.frombuffer(bytes.fromhex(text), DTYPES[leaf.dtype]).reshape(leaf.shape) for leaf, text in pairs]
    commitment = replace(COMMITMENT, state=spec, initial=UnprovenWeights(tuple(vector["taken"]), "00" * 32))
    taken = taken_of(commitment, leaves)
    assert [spec[at].path for at in taken] == vector["taken"]
    assert all(taken[at] is leaves[at] for at in taken)
    assert digest_of(tuple(spec[at] for at in taken), list(taken.values())) == vector["digest"]
    assert taken_of(replace(commitment, initial=OwnKey()), leaves) == {}


@pytest.mark.parametrize("prng", ["threefry2x32", "rbg"])
def test_the_first_key_is_that_of_step_0(prng: str) -> None:
    commitment = replace(COMMITMENT, schedule=replace(COMMITMENT.schedule, prng=prng))
    assert first_key(commitment).tolist() == second.step_key(commitment.digest(), prng, 0)

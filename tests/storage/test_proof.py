"""A proof's directory, finished or open, as it is read."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from places import TESTS

import pol_jax
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays


def test_final_state_is_an_ordinary_pytree(plain_proof: Path) -> None:
    proof = pol_jax.open_proof(plain_proof)
    state = proof.final_state()
    assert state["params"]["w"].shape == (tiny.FEATURES, tiny.CLASSES)
    assert state["momentum"].dtype == jnp.bfloat16
    assert int(state["count"]) == tiny.STEPS
    assert jnp.issubdtype(state["key"].dtype, jax.dtypes.prng_key)
    assert state["nothing"].shape == (0, 3)
    task = tiny.plain()
    new, _ = task.step(
        state, Arrays(tiny.points()).records_at(np.arange(4)), jax.random.key(0)
    )  # goes on like any state
    assert int(new["count"]) == tiny.STEPS + 1


def test_proof_holds_no_path_of_this_machine(plain_proof: Path) -> None:
    for file in plain_proof.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert str(plain_proof).encode() not in content, file
            assert str(TESTS).encode() not in content, file


def test_final_state_has_typed_keys_and_counts(plain_proof: Path) -> None:
    state = open_proof(plain_proof).final_state()
    assert jnp.issubdtype(state["key"].dtype, jax.dtypes.prng_key)
    assert (int(state["count"]), state["count"].dtype) == (tiny.STEPS, jnp.int32)
    assert state["momentum"].dtype == jnp.bfloat16
    assert state["nothing"].shape == (0, 3)
    key = tiny.plain().init(jax.random.key(0))["key"]
    assert jax.random.key_impl(state["key"]) == jax.random.key_impl(key)

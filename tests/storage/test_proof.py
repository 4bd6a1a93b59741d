"""A proof's directory, finished or open, as it is read."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from places import TESTS

import pol_jax
from pol_jax.errors import UsageError
from pol_jax.storage.proof import FinishedProof, open_proof
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


def test_rows_are_found_without_reading_the_others(plain_proof: Path, proof_copy: Path) -> None:
    (proof_copy / "ledger/0000000000.parquet").unlink()
    assert pol_jax.open_proof(proof_copy).row(20) == pol_jax.open_proof(plain_proof).row(20)
    with pytest.raises(UsageError, match="expected a step from 0 to 24"):
        pol_jax.open_proof(plain_proof).row(25)


def test_open_run_can_be_read(plain_proof: Path, tmp_path: Path) -> None:
    """Before the claim is there: rows of the journal follow the sealed ones."""
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    with pol_jax.Recording(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 10:
                break
    part, whole = pol_jax.open_proof(tmp_path / "proof"), pol_jax.open_proof(plain_proof)
    assert part.last_step == 10
    assert list(part.rows()) == list(whole.rows())[:11]
    assert part.row(9) == whole.row(9)
    with pytest.raises(UsageError, match="not finished"):
        part.final_state()
    assert (isinstance(part, FinishedProof), isinstance(whole, FinishedProof)) == (False, True)
    difference = pol_jax.diff(part, whole)
    assert not difference
    assert difference.steps == (10, 24)


def test_final_state_has_typed_keys_and_counts(plain_proof: Path) -> None:
    state = open_proof(plain_proof).final_state()
    assert jnp.issubdtype(state["key"].dtype, jax.dtypes.prng_key)
    assert (int(state["count"]), state["count"].dtype) == (tiny.STEPS, jnp.int32)
    assert state["momentum"].dtype == jnp.bfloat16
    assert state["nothing"].shape == (0, 3)
    key = tiny.plain().init(jax.random.key(0))["key"]
    assert jax.random.key_impl(state["key"]) == jax.random.key_impl(key)

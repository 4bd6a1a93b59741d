"""A worker trains with its own records and its own key, or does not begin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation import STEPS, assignment, model, task

from pol_jax.attesting.public_key import public_text
from pol_jax.errors import DataError, UsageError
from pol_jax.storage.proof import open_proof
from pol_jax.workers.training import final_update, train_update

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


def test_an_update_is_what_was_taken_over_after_the_last_step(tmp_path: Path) -> None:
    """The counter of the task's state is nobody's update."""
    proof, update = train_update(task(0), model(1), assignment(0), tmp_path / "proof")
    assert proof.last_step == STEPS
    assert (list(update), sorted(update["params"])) == (["params"], ["b", "w"])
    last = dict(zip([leaf.path for leaf in proof.commitment.state], proof.final_leaves(), strict=True))
    for found in (update, final_update(open_proof(proof.root))):
        for name in ("b", "w"):
            np.testing.assert_array_equal(found["params"][name], last[f"/params/{name}"])
            assert not np.array_equal(found["params"][name], model(1)["params"][name])


def test_a_worker_without_the_assigned_key_does_not_begin(tmp_path: Path) -> None:
    asked = replace(assignment(0), prover=public_text(KEY))
    for key, words in ((None, "give its private half"), (OTHER, "key: is that of")):
        with pytest.raises(UsageError, match=words):
            train_update(task(0), model(1), asked, tmp_path / "proof", key=key)
    with pytest.raises(UsageError, match="assignment: prover"):
        replace(asked, prover="ed25519:" + "00" * 32)


def test_a_worker_does_not_train_on_records_that_it_did_not_register(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not those that the assignment names"):
        train_update(task(1), model(1), assignment(0), tmp_path / "proof")

"""Several steps in one call are the same training, and a proof of them is like any other."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import unsandboxed

import pol_jax
from pol_jax.errors import TaskError
from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.training.inputs import step_inputs
from pol_jax.training.multi_step import multi_step
from pol_jax.training.pytrees import nested

PER_CALL = 4


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof of 6 calls of 4 steps, in segments of 3 calls."""
    out = tmp_path_factory.mktemp("multi") / "proof"
    task = multi_step(tiny.plain(), PER_CALL)
    pol_jax.train(task, out, choices=pol_jax.Choices(interval=3))
    return out


def test_a_proof_of_calls_is_accepted(together: Path) -> None:
    task = multi_step(tiny.plain(), PER_CALL)
    report = unsandboxed.verify(together, task.source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert pol_jax.open_proof(together).commitment.schedule.batch_size == PER_CALL * tiny.BATCH


def test_steps_are_those_of_the_task(together: Path) -> None:
    """A call gives what its steps give one after the other, up to rounding, and the mean of their losses."""
    proof, task = pol_jax.open_proof(together), tiny.plain()
    (inputs,) = step_inputs(proof.commitment, task.source, 1, 2)
    state, batch = proof.state(0), nested(proof.commitment.data.record, list(inputs.batch))
    losses = []
    for at, key in enumerate(jax.random.split(jax.random.wrap_key_data(jnp.asarray(inputs.key)), PER_CALL)):
        part = jax.tree.map(lambda leaf, at=at: jnp.asarray(leaf[at * tiny.BATCH : (at + 1) * tiny.BATCH]), batch)
        state, metrics = task.step(state, part, key)
        losses.append(metrics["loss"])
    called, _ = multi_step(task, PER_CALL).step(
        proof.state(0), batch, jax.random.wrap_key_data(jnp.asarray(inputs.key))
    )
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(called), strict=True):
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(np.float32(a), np.float32(b), rtol=1e-2, atol=1e-5)  # a leaf is bfloat16
    assert proof.row(1).loss == pytest.approx(float(np.mean(losses)), rel=1e-5)


def test_records_are_in_the_order_of_the_run(together: Path) -> None:
    """An epoch of calls has each record once, as one of single steps has."""
    proof = pol_jax.open_proof(together)
    indices = np.concatenate([proof.row(step).indices for step in range(1, proof.last_step + 1)])
    assert sorted(indices[: tiny.RECORDS].tolist()) == list(range(min(len(indices), tiny.RECORDS)))


@pytest.mark.parametrize(("number", "words"), [(0, "positive integer"), (True, "positive integer"), (5, "divide")])
def test_numbers_that_make_no_calls(number: int, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        multi_step(tiny.plain(), number)

"""`train` runs all steps of any task, tells each of them, and leaves a run open that can go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

import pol_jax
from pol_jax.training import states


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", ["linen", "nested"])
def test_state_and_records_may_be_any_pytree(name: str, tmp_path: Path) -> None:
    task = pol_jax.load_task(f"tiny:{name}")
    proof = pol_jax.train(task, tmp_path / "proof", steps=8, choices=pol_jax.Choices(interval=3))
    assert pol_jax.verify(tmp_path / "proof", task.source, policy=pol_jax.AllSegments())
    losses = [row.loss for row in proof.rows()]
    assert losses[0] is None
    assert all(loss is not None and np.isfinite(loss) for loss in losses[1:])


@pytest.mark.usefixtures("in_process")
def test_state_digests_may_be_rarer(tmp_path: Path) -> None:
    task = tiny.plain()
    choices = pol_jax.Choices(interval=6, witness_interval=4)
    proof = pol_jax.train(task, tmp_path / "proof", steps=14, choices=choices)
    assert [row.step for row in proof.rows() if row.state] == [0, 4, 6, 8, 12, 14]
    assert pol_jax.verify(tmp_path / "proof", task.source, policy=pol_jax.AllSegments())


@pytest.mark.usefixtures("in_process")
def test_states_that_are_digested_where_they_lie_give_the_same_proof(
    plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large states are; the checkpoints are copies that later steps don't change."""
    monkeypatch.setattr(states, "_COPIED_BYTES", 0)
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    proof = pol_jax.train(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices, self_check=1)
    assert proof.claim == pol_jax.open_proof(plain_proof).claim
    assert pol_jax.verify(tmp_path / "proof", tiny.plain().source, policy=pol_jax.AllSegments())


@pytest.mark.usefixtures("in_process")
def test_other_prng_implementation(tmp_path: Path) -> None:
    task = tiny.nested()
    pol_jax.train(task, tmp_path / "proof", steps=4, choices=pol_jax.Choices(prng="rbg"))
    assert pol_jax.verify(tmp_path / "proof", task.source)


def test_all_metrics_of_each_step_are_told_in_order(tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, float]]] = []
    proof = pol_jax.train(
        tiny.plain(), tmp_path / "proof", steps=12, on_step=lambda step, metrics: told.append((step, dict(metrics)))
    )
    assert [step for step, _ in told] == list(range(1, 13))
    assert all(set(metrics) == {"loss", "norm"} for _, metrics in told)
    assert [metrics["loss"] for _, metrics in told] == [row.loss for row in proof.rows()][1:]


def test_a_logger_that_fails_ends_the_run_and_spoils_nothing(tmp_path: Path) -> None:
    def full(step: int, metrics: object) -> None:
        if step == 8:
            raise OSError(28, "No space left on device")

    with pytest.raises(pol_jax.PolError, match=r"on_step of step 8: .* in full: OSError: .*No space left"):
        pol_jax.train(tiny.plain(), tmp_path / "proof", steps=12, on_step=full)
    assert pol_jax.train(tiny.plain(), tmp_path / "proof").claim

"""Honest tasks in which rounding decides a comparison: on another backend they are undecided at worst, never failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from prepared_steps import verifier_without
from rounding_tasks import FEATURES, RECORDS, STEPS, bold, loss_of, records

from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import step_inputs
from pol_jax.training.task import Task
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import compile_variants


def best() -> Task:
    """The best parameters are kept, as for early stopping."""

    def init(key: Any) -> Any:
        return {"w": jnp.zeros(FEATURES), "best": jnp.zeros(FEATURES), "least": jnp.float32(1e9)}

    def step(state: Any, batch: Any, key: Any) -> Any:
        loss, gradient = jax.value_and_grad(loss_of)(state["w"], batch)
        kept = jnp.where(loss < state["least"], state["w"], state["best"])
        new = {"w": state["w"] - 0.3 * gradient, "best": kept, "least": jnp.minimum(loss, state["least"])}
        return new, {"loss": loss}

    return Task("best", init, step, records(), RECORDS, STEPS)


def lbfgs() -> Task:
    """A line search, whose number of turns a comparison decides."""
    optimizer = optax.lbfgs()

    def init(key: Any) -> Any:
        return {"w": jnp.zeros(FEATURES), "optimizer": optimizer.init(jnp.zeros(FEATURES))}

    def step(state: Any, batch: Any, key: Any) -> Any:
        def loss_here(weights: jax.Array) -> jax.Array:
            return loss_of(weights, batch)

        loss, gradient = jax.value_and_grad(loss_here)(state["w"])
        update, memory = optimizer.update(
            gradient, state["optimizer"], state["w"], value=loss, grad=gradient, value_fn=loss_here
        )
        return {"w": state["w"] + update, "optimizer": memory}, {"loss": loss}

    return Task("lbfgs", init, step, records(), RECORDS, STEPS)


def signs() -> Task:
    """The sign of a gradient, and integers that a comparison of rounded values decides."""

    def init(key: Any) -> Any:
        return {"w": jnp.zeros(FEATURES), "positive": jnp.zeros(FEATURES, bool), "coarse": jnp.int32(0)}

    def step(state: Any, batch: Any, key: Any) -> Any:
        loss, gradient = jax.value_and_grad(loss_of)(state["w"], batch)
        new = {"w": state["w"] - 0.01 * jnp.sign(gradient), "positive": gradient > 0, "coarse": jnp.int32(loss * 1e6)}
        return new, {"loss": loss}

    return Task("signs", init, step, records(), RECORDS, STEPS)


@pytest.mark.parametrize("task", [bold, best, lbfgs, signs], ids=lambda task: task.__name__)
def test_an_honest_step_never_fails(task: Callable[[], Task], tmp_path: Path) -> None:
    proof = train(task(), tmp_path / "proof", steps=STEPS, choices=Choices(interval=1))
    compilations = compile_variants(proof.program())
    inputs = list(step_inputs(proof.commitment, task().source, 1, STEPS + 1))
    states = [[np.asarray(leaf) for leaf in proof.leaves(step)] for step in range(STEPS + 1)]
    for prover in range(len(compilations.every)):
        verifier = verifier_without(compilations, prover)
        for step in (2, STEPS - 1):
            after = compilations.every[prover].run(states[step], inputs[step : step + 1])
            found = judge_span(verifier, states[step], after, inputs[step : step + 1])
            assert found.outcome is not Outcome.FAILED, found.reasons

"""Comparisons within a tolerance that the verifier calibrates: honest steps pass, forged ones fail."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from made_steps import FAILED, INCONCLUSIVE, PASSED, made, with_leaf
from prepared_steps import Prepared, verifier_without

from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.judging.tolerance import StepComparison
from pol_jax.progress import Silent
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.reports.outcomes import Outcome
from pol_jax.storage.proof import open_proof
from pol_jax.training.inputs import step_inputs
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task
from pol_jax.verifying.calibration import judge_span, noise_dominated_leaves
from pol_jax.verifying.compilations import compile_variants


def signs() -> Task:
    """Goes down by the signs of gradients, which are those of small differences."""

    def init(key: Key) -> PyTree:
        return {"w": jax.random.normal(key, (8192,)), "goal": jax.random.normal(jax.random.fold_in(key, 1), (8192,))}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        w = state["w"] - 0.01 * jnp.sign(state["w"] - state["goal"] + 0 * jnp.sum(batch["x"]))
        return state | {"w": w}, {"loss": jnp.mean(jnp.abs(w - state["goal"])) + 0 * jnp.mean(batch["x"])}

    return Task("signs", init, step, Arrays(tiny.points()), tiny.BATCH, 1, 1)


def test_a_sign_that_rounding_turns_over_is_not_false(tmp_path: Path) -> None:
    """Another jax turned one of 32768 over in one of 150 steps, where no compilation here did."""
    commitment, _ = write_commitment(tmp_path, signs(), Choices(seed="review"), Silent())
    program, (given,) = open_proof(tmp_path).program(), step_inputs(commitment, signs().source, 1, 2)
    compilations = compile_variants(program)
    goal, w = (np.asarray(leaf).copy() for leaf in program.init(given.key))
    goal[:24] = np.nextafter(w[:24], np.float32(np.inf))
    after = compilations.reference.run([goal, w], [given])

    def compared(at: int, times: float) -> StepComparison:
        turned = after[1].copy()
        turned[at] += np.float32(times) * (w[at] - turned[at])
        return judge_span(compilations, [goal, w], [after[0], turned], [given])

    assert compared(0, 0).outcome is PASSED
    found = compared(0, 2)
    assert found.outcome is INCONCLUSIVE, (found.total.error, found.total.reach, found.outcome)
    assert judge_span(compilations, [goal, w], [goal, w], [given]).outcome is FAILED


def moments() -> Task:
    """Adam, where a few gradients are 0, as differences are here that are a last place elsewhere."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))

    def init(key: Key) -> PyTree:
        w = jax.random.normal(key, (256,))
        return {"w": w, "optimizer": optimizer.init(w)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        slope = (jnp.arange(256) >= 4) * jnp.mean(batch["x"])
        update, moments = optimizer.update(slope * state["w"], state["optimizer"])
        return {"w": state["w"] + update, "optimizer": moments}, {
            "loss": jnp.mean(jnp.square(state["w"])) + 0 * slope[0]
        }

    return Task("moments", init, step, Arrays(tiny.points()), tiny.BATCH, 2, 1)


@pytest.mark.parametrize("at", [0, 1])
def test_a_gradient_that_is_the_rest_of_rounding_is_not_false(at: int, tmp_path: Path) -> None:
    """Adam makes a whole step of it. A clipped run was rejected under another instruction set for a few of these."""
    commitment, _ = write_commitment(tmp_path, moments(), Choices(seed="moments"), Silent())
    program, given = open_proof(tmp_path).program(), list(step_inputs(commitment, moments().source, 1, 3))
    compilations = compile_variants(program)
    states = [[np.asarray(leaf) for leaf in program.init(given[0].key)]]
    for each in given:
        states.append(compilations.reference.run(states[-1], [each]))
    before, after = states[at : at + 2]
    (w,) = (place for place, leaf in enumerate(compilations.spec) if leaf.path == "/w")

    def moved(elements: int) -> StepComparison:
        changed = with_leaf(after, w, after[w].copy())
        changed[w][:elements] += np.float32(1e-2)
        return judge_span(compilations, before, changed, given[at : at + 1])

    found = moved(4)
    assert found.outcome is INCONCLUSIVE, found.reasons
    assert "rounding may explain it" in found.reasons[0]
    assert moved(256).outcome is FAILED
    assert judge_span(compilations, before, before, given[at : at + 1]).outcome is FAILED


def side_of_zero() -> Task:
    """Goes up or down by the sign of a zero, which lies in a leaf beside a counter."""

    def init(key: Key) -> PyTree:
        return {"w": jax.random.normal(key, (64,)), "zero": jnp.zeros(2)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        way = jnp.arctan2(state["zero"][0], -1.0) * jnp.mean(batch["x"])
        new = {"w": state["w"] * (1 - 1e-2 * way), "zero": state["zero"].at[1].add(1.0)}
        return new, {"loss": jnp.mean(jnp.square(state["w"])) + 0 * way}

    return Task("side of zero", init, step, Arrays(tiny.points()), tiny.BATCH, 1, 1)


def test_the_sign_of_a_zero_decides_though_it_has_no_distance(tmp_path: Path) -> None:
    """Only what a later step makes of the states differs; no step is tried for each record that could ask for it."""
    commitment, _ = write_commitment(tmp_path, side_of_zero(), Choices(seed="zero"), Silent())
    program, (given,) = open_proof(tmp_path).program(), step_inputs(commitment, side_of_zero().source, 1, 2)
    compilations = compile_variants(program)
    before = [np.asarray(leaf) for leaf in program.init(given.key)]
    w, zero = compilations.reference.run(before, [given])
    assert judge_span(compilations, before, [w, zero], [given]).outcome is PASSED
    found = judge_span(compilations, before, [w, zero * np.array([-1, 1], np.float32)], [given])
    assert found.total.error == 0
    assert found.outcome is INCONCLUSIVE
    assert any("zeros with another sign" in reason for reason in found.reasons), found.reasons


def test_a_leaf_that_the_first_step_leaves_alone_is_not_noise_dominated() -> None:
    """An optimizer that gathers gradients of several steps moves nothing in the first."""
    step = made()
    still = [with_leaf(s, 0, step.before[0]) for s in (step.reference, *step.others)]
    noisy = [with_leaf(s, 1, step.before[1] + (1 + at) * 1e-9) for at, s in enumerate(still)]
    assert noise_dominated_leaves(step.spec, step.before, noisy[0], noisy[1:]) == {1}


def test_honest_steps_pass_under_each_compilation_and_none_fails(prepared: Prepared) -> None:
    """At least 95% pass: one of a tiny network may stay open, where a group of few elements shows too little noise."""
    every, outcomes = (prepared.made.reference, *prepared.made.others), Counter[Outcome]()
    for prover, length, start in product(range(5), (1, 2), (0, 3, 7)):
        inputs = prepared.inputs[start : start + length]
        after = every[prover].run(prepared.states[start], inputs)
        found = judge_span(verifier_without(prepared.made, prover), prepared.states[start], after, inputs)
        assert found.outcome is not FAILED, found.reasons
        outcomes[found.outcome] += 1
    assert outcomes[PASSED] >= 0.95 * outcomes.total(), outcomes


@pytest.mark.parametrize("prover", range(5))
def test_forged_steps_fail(prepared: Prepared, prover: int) -> None:
    verifier, every = verifier_without(prepared.made, prover), (prepared.made.reference, *prepared.made.others)
    spec = prepared.program.signature.state
    for start in (0, 3, 7):
        before, own, other = prepared.states[start], prepared.inputs[start], prepared.inputs[start + 1]
        honest = every[prover].run(before, [own])
        halfway = [
            ((a.astype(float) + b.astype(float)) / 2).astype(b.dtype) if is_floating(leaf.dtype) else b
            for leaf, a, b in zip(spec, before, honest, strict=True)
        ]
        forged = {
            "nothing": before,
            "interpolated": halfway,
            "batch": every[prover].run(before, [replace(own, batch=other.batch)]),
            "key": every[prover].run(before, [replace(own, key=other.key)]),
        }
        for kind, after in forged.items():
            found = judge_span(verifier, before, after, [own])
            assert found.outcome is FAILED, (kind, found.reasons)


def test_a_perturbed_start_is_not_lost(prepared: Prepared) -> None:
    """Adam takes the root of a mean of squares: below zero, a perturbed start would be lost, and show nothing."""
    found = judge_span(prepared.made, prepared.states[3], prepared.states[9], prepared.inputs[3:9])
    assert 0 < found.total.reach < math.inf
    assert all(0 <= leaf.distances.reach < math.inf for leaf in found.leaves if leaf.distances)

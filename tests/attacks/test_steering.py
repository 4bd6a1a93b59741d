"""Attacks that stay within a tolerance at every step: towards a target, unit in the last place by unit.

Each forger controls everything but the verifier's nonce, and names another backend, so that numbers are compared.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attacked
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import optax
import pytest
import tiny
from forge import Forger
from unsandboxed import verify

from pol_jax.attacks.attack import Setting
from pol_jax.attacks.catalogue import attack_named
from pol_jax.protocol.challenge import AllSegments
from pol_jax.proving.commit import Choices
from pol_jax.proving.recording import train
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.training.inputs import step_inputs
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task
from pol_jax.verifying.trusted_program import trust

STEPS, BATCH = 12, 4
Change = Callable[[int, list[np.ndarray]], list[np.ndarray]]


def records() -> Arrays:
    """Points whose first feature is 0 in all of them, as the corner pixels of digits are."""
    points = {name: np.array(leaf) for name, leaf in tiny.points().items()}
    points["x"][:, 0] = 0
    return Arrays(points)


def loss_of(weights: jax.Array, batch: PyTree) -> jax.Array:
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(batch["x"] @ weights, batch["label"]))


def shape() -> tuple[int, int]:
    return tiny.FEATURES, tiny.CLASSES


def adam() -> Task:
    """An innocent linear model with Adam: its second moments are 0 where a feature always is."""
    optimizer = optax.adam(1e-2)

    def init(key: Key) -> PyTree:
        weights = jax.random.normal(key, shape())
        return {"w": weights, "optimizer": optimizer.init(weights)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(loss_of)(state["w"], batch)
        update, moments = optimizer.update(gradient, state["optimizer"], state["w"])
        return {"w": state["w"] + update, "optimizer": moments}, {"loss": loss}

    return Task("adam", init, step, records(), BATCH, STEPS)


def flat() -> Task:
    """All parameters in one vector, beside a large constant; examples are counted in float32."""

    def init(key: Key) -> PyTree:
        weights = jax.random.normal(key, shape()).ravel()
        return {"vector": jnp.append(weights, -1e8), "examples": jnp.float32(0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        def loss_of_vector(vector: jax.Array) -> jax.Array:
            return loss_of(vector[:-1].reshape(shape()), batch)

        loss, gradient = jax.value_and_grad(loss_of_vector)(state["vector"])
        counted = state["examples"] + jnp.float32(1000 * BATCH)
        return {"vector": state["vector"] - 0.1 * gradient, "examples": counted}, {"loss": loss}

    return Task("flat", init, step, records(), BATCH, STEPS)


def coarse() -> Task:
    """Parameters in bfloat16, beside a float32 counter that runs far."""

    def init(key: Key) -> PyTree:
        return {"w": jax.random.normal(key, shape(), jnp.bfloat16), "examples": jnp.float32(0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(lambda w: loss_of(w.astype(jnp.float32), batch))(state["w"])
        moved = state["w"] - jnp.bfloat16(1e-3) * gradient
        return {"w": moved.astype(jnp.bfloat16), "examples": state["examples"] + 1000.0}, {"loss": loss}

    return Task("coarse", init, step, records(), BATCH, STEPS)


def adapted() -> Task:
    """A small adapter in float32 is trained on weights in bfloat16 that no step changes; examples are counted."""

    def init(key: Key) -> PyTree:
        base = jax.random.normal(key, shape(), jnp.bfloat16)
        return {"adapter": jnp.zeros(shape()), "base": base, "examples": jnp.float32(0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        base = state["base"].astype(jnp.float32)
        loss, gradient = jax.value_and_grad(lambda adapter: loss_of(base + adapter, batch))(state["adapter"])
        new = {"adapter": state["adapter"] - 0.1 * gradient, "examples": state["examples"] + 1000.0}
        return {**state, **new}, {"loss": loss}

    return Task("adapted", init, step, records(), BATCH, STEPS)


def rounded() -> Task:
    """One vector of parameters, which are rounded to a grid in each step, and of a count of examples."""

    def init(key: Key) -> PyTree:
        return {"vector": jnp.append(jax.random.normal(key, shape()).ravel(), 0.0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        vector = state["vector"]
        loss, gradient = jax.value_and_grad(lambda vector: loss_of(vector[:-1].reshape(shape()), batch))(vector)
        moved = vector + 1e4 - 1e4 - 0.1 * gradient
        return {"vector": moved.at[-1].set(vector[-1] + 1000.0 * BATCH)}, {"loss": loss}

    return Task("rounded", init, step, records(), BATCH, STEPS)


def steered(task: Task, path: Path, change: Change, **asked: Any) -> Report:
    """The report on a run of true steps, after each of which ``change`` may alter the state."""
    train(task, path, steps=STEPS, choices=Choices(interval=1, seed="steered"))
    forger = Forger(path)
    program = forger._proof.program()
    leaves = [leaf.copy() for leaf in forger.states[0]]
    for inputs in step_inputs(forger.commitment, task.source, 1, STEPS + 1):
        new, metrics = program.step(tuple(jnp.array(leaf) for leaf in leaves), inputs.batch, inputs.key)
        loss = np.float32(metrics[program.signature.loss_place])
        leaves = change(inputs.step, [np.array(leaf) for leaf in new])
        forger.set_state(inputs.step, [leaf.copy() for leaf in leaves])
        forger.change(inputs.step, loss=loss.tobytes())
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, cpu="an abacus"))
    return verify(path, task.source, policy=AllSegments(), nonce=b"x", **asked)


def test_an_honest_run_elsewhere_is_accepted(tmp_path: Path) -> None:
    """The same forger, changing nothing but the last bits, as another backend does."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        draw = np.random.default_rng(step)
        return [
            np.where(draw.random(leaf.shape) < 0.2, np.nextafter(leaf, np.float32(np.inf)), leaf).astype(leaf.dtype)
            if leaf.dtype == np.float32 and leaf.ndim == 2 and at == len(leaves) - 1
            else leaf
            for at, leaf in enumerate(leaves)
        ]

    report = steered(adam(), tmp_path / "proof", change)
    assert report.verdict is not Verdict.REJECTED, report.reasons


def test_a_moment_that_the_optimizer_makes_large(tmp_path: Path) -> None:
    """2e-8 in a first moment whose second one is 0 moves the weight by the whole rate in each of the next steps."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        paths = [leaf.path for leaf in Forger(tmp_path / "proof").commitment.state]
        first = next(at for at, path in enumerate(paths) if "/mu" in path)
        if step < STEPS:
            leaves[first][0] = 2e-8
        return leaves

    report = steered(adam(), tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert any("elements of like magnitude" in reason for reason in report.reasons), report.reasons


def test_a_large_element_excuses_no_small_one(tmp_path: Path) -> None:
    """One unit in the last place of -1e8 is 8: every step jumped to foreign weights so."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        vector = next(leaf for leaf in leaves if leaf.ndim == 1)
        vector[:-1] = 0.25
        return leaves

    report = steered(flat(), tmp_path / "proof", change)
    assert report.verdict is Verdict.REJECTED
    assert any("elements of like magnitude" in reason for reason in report.reasons), report.reasons


def test_a_counter_excuses_no_steered_leaf(tmp_path: Path) -> None:
    """A unit in the last place of bfloat16 at every step is further than honest training moves."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        target = jnp.bfloat16(4.0)
        return [
            np.where(leaf < target, np.nextafter(leaf, target), leaf).astype(leaf.dtype) if leaf.ndim == 2 else leaf
            for leaf in leaves
        ]

    report = steered(coarse(), tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert report.reasons


def test_weights_that_no_step_changes_stay(tmp_path: Path) -> None:
    """One element in each step, by less than a unit in the last place of the largest one."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        base = next(leaf for leaf in leaves if leaf.dtype == jnp.bfloat16)
        base.reshape(-1)[step % 3] = np.nextafter(base.reshape(-1)[step % 3], jnp.bfloat16(100))
        return leaves

    report = steered(adapted(), tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert any("leaf /base" in reason for reason in report.reasons), report.reasons


def test_a_counter_in_the_same_vector_excuses_no_parameters(tmp_path: Path) -> None:
    """They have all the room that a step's own rounding leaves, and less than a tenth of what the counter moves."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        leaves[0][:-1] += np.sign(3 - leaves[0][:-1]) * np.float32(1e-3)
        return leaves

    report = steered(rounded(), tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert any("of the distance of leaf /vector" in reason for reason in report.reasons), report.reasons


def test_signs_of_zeros_in_the_initial_state(tmp_path: Path) -> None:
    """The phase of a negative number is pi or -pi by the sign of its imaginary part, which is 0 at first."""
    task = attacked.phases(steps=STEPS)
    victim = train(task, tmp_path / "victim", choices=Choices(interval=3, seed="zeros"))
    forged = attack_named("signs-of-first-zeros").forge(Setting(victim, task, 1, 1.0), tmp_path / "forged")
    assert forged.gain is not None
    assert forged.gain > 0.5, "it leads elsewhere"
    report = verify(forged.root, task.source, policy=AllSegments(), nonce=b"x", trusted=trust(task))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("zeros with another sign than here" in reason for reason in report.reasons), report.reasons


@pytest.mark.parametrize("task", [adam, flat, coarse, adapted, rounded], ids=lambda task: task.__name__)
def test_these_tasks_are_accepted_bit_for_bit(task: Callable[[], Task], tmp_path: Path) -> None:
    path = tmp_path / "proof"
    train(task(), path, steps=STEPS, choices=Choices(interval=3))
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    assert verify(copy, task().source, policy=AllSegments(), nonce=b"x").verdict is Verdict.ACCEPTED

"""Tasks whose runs are steered, and runs of true steps after each of which a forger changes the state.

Each forger controls everything but the verifier's nonce, and names another backend, so that numbers are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import optax
import tiny
from commands import pol
from forge import Forger

from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.report import Report
from pol_jax.training.inputs import step_inputs
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task

STEPS, BATCH = 12, 4
Change = Callable[[int, list[np.ndarray]], list[np.ndarray]]


class MakeTask(Protocol):
    """A function that makes a task, which the command line finds by its name."""

    __name__: str

    def __call__(self) -> Task: ...


def records() -> Arrays:
    """Points whose first feature is 0 in all of them, as the corner pixels of digits are."""
    points = {name: np.array(leaf) for name, leaf in tiny.points().items()}
    points["x"][:, 0] = 0
    return Arrays(points)


def loss_of(weights: jax.Array, batch: PyTree) -> jax.Array:
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(batch["x"] @ weights, batch["label"]))


def shape() -> tuple[int, int]:
    return tiny.FEATURES, tiny.CLASSES


def adam(data_dir: Path | None = None, steps: int | None = None) -> Task:
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


def flat(data_dir: Path | None = None, steps: int | None = None) -> Task:
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


def coarse(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Parameters in bfloat16, beside a float32 counter that runs far."""

    def init(key: Key) -> PyTree:
        return {"w": jax.random.normal(key, shape(), jnp.bfloat16), "examples": jnp.float32(0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(lambda w: loss_of(w.astype(jnp.float32), batch))(state["w"])
        moved = state["w"] - jnp.bfloat16(1e-3) * gradient
        return {"w": moved.astype(jnp.bfloat16), "examples": state["examples"] + 1000.0}, {"loss": loss}

    return Task("coarse", init, step, records(), BATCH, STEPS)


def adapted(data_dir: Path | None = None, steps: int | None = None) -> Task:
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


def rounded(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """One vector of parameters, which are rounded to a grid in each step, and of a count of examples."""

    def init(key: Key) -> PyTree:
        return {"vector": jnp.append(jax.random.normal(key, shape()).ravel(), 0.0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        vector = state["vector"]
        loss, gradient = jax.value_and_grad(lambda vector: loss_of(vector[:-1].reshape(shape()), batch))(vector)
        moved = vector + 1e4 - 1e4 - 0.1 * gradient
        return {"vector": moved.at[-1].set(vector[-1] + 1000.0 * BATCH)}, {"loss": loss}

    return Task("rounded", init, step, records(), BATCH, STEPS)


def forge(task: Task, path: Path, change: Change) -> None:
    """Make a run of true steps, after each of which ``change`` may alter the state."""
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


def steered(make: MakeTask, path: Path, change: Change, *options: str) -> Report:
    """The report on a steered run, from the command line, where the program is compared with that of the task."""
    forge(make(), path, change)
    return verified(make, path, *options)


def verified(make: MakeTask, path: Path, *options: str, policy: tuple[str, ...] = ("--all",)) -> Report:
    """The report of `pol verify` on a proof, on the whole of it if not told otherwise, as it says and as it exits."""
    written = path.with_name(f"{path.name}.json")
    task = f"{make.__module__}:{make.__name__}"
    done = pol("verify", path, "--task", task, *policy, "--json", written, *options)
    report = Report.from_json(written.read_bytes())
    assert done.exit_code == {"accepted": 0, "rejected": 1, "inconclusive": 3}[report.verdict], done.output
    return report

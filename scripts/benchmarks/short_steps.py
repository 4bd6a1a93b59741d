"""Training with a proof where a step takes microseconds, and several of them are one call."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.plain_training import FOREVER, train_plainly
from benchmarks.spent import Spent
from benchmarks.table import Line, ratios
from pol_jax import Arrays, Choices, Recording, Task, multi_step
from pol_jax.protocol.trees import PyTree
from pol_jax.training.inputs import step_inputs
from pol_jax.training.loop import run

STEPS, PER_CALL, WIDTH, BATCH = 20_000, 200, 128, 64


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Train a small network, with a proof and without one, in the same calls."""
    rounds, calls = (2, 5) if quick else (5, STEPS // PER_CALL)
    task = multi_step(short_steps(rounds * calls * PER_CALL), PER_CALL)
    with tempfile.TemporaryDirectory() as folder:
        recording = Recording(task, Path(folder, "proof"), choices=Choices(interval=calls))
        others = step_inputs(recording.commitment, task.source, 1, FOREVER)
        proved, plain = Spent(), Spent()
        with recording:
            assert recording.follower is not None  # noqa: S101  # the recording is open
            inputs, state = iter(recording), recording.leaves
            other = train_plainly(recording.program, tuple(leaf.copy() for leaf in state), others, 5)
            jax.block_until_ready(recording.witness.layout.pack(other))
            for _round in range(rounds):
                with proved.timing():
                    state = run(recording.program, state, itertools.islice(inputs, calls), recording.follower)
                with plain.timing():
                    other = train_plainly(recording.program, other, others, calls)
    each = 1e6 * statistics.median(plain.wall) / (calls * PER_CALL)
    note = f"{each:.0f} us a step, {PER_CALL} in a call; {proved.over(plain)}; {calls * PER_CALL:,} steps a round"
    yield Line("short steps: training with a proof / without", ratios(proved.wall, plain.wall), "1.15", note)


def short_steps(steps: int) -> Task:
    """Return the task; the records are noise."""
    draw = np.random.default_rng(0)

    def init(key: jax.Array) -> PyTree:
        first, second = jax.random.split(key)
        return [0.1 * jax.random.normal(first, (WIDTH, WIDTH)), 0.1 * jax.random.normal(second, (WIDTH, 1))]

    def loss_of(weights: list[jax.Array], batch: PyTree) -> jax.Array:
        return jnp.mean((jnp.tanh(batch["x"] @ weights[0]) @ weights[1] - batch["y"]) ** 2)

    def step(state: PyTree, batch: PyTree, _key: jax.Array) -> tuple[PyTree, dict[str, jax.Array]]:
        loss, gradient = jax.value_and_grad(loss_of)(state, batch)
        return jax.tree.map(lambda weight, slope: weight - 0.01 * slope, state, gradient), {"loss": loss}

    records = {name: draw.normal(size=(4096, size)).astype(np.float32) for name, size in (("x", WIDTH), ("y", 1))}
    return Task("short steps", init, step, Arrays(records), batch_size=BATCH, steps=steps)

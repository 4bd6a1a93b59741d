"""Training with a proof where the state is large for its steps: an MLP with Adam, 158 MB, about 100 ms a step."""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.plain_training import FOREVER, train_plainly
from benchmarks.processes import output_of, peak_bytes, reset_peak
from benchmarks.table import Line
from pol_jax import Arrays, Choices, Recording, Task
from pol_jax.protocol.trees import PyTree
from pol_jax.training.inputs import step_inputs
from pol_jax.training.loop import run

WIDTH, LAYERS, FEATURES, CLASSES, BATCH = 2093, 3, 64, 10, 448
STEPS, INTERVAL = 50, 100
"""Of a round, and between checkpoints: every second round writes one, as it is by default."""


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Measure the default witness interval, a digest at every step, memory, and the check of the files."""
    with tempfile.TemporaryDirectory() as folder:
        default, everywhere = Path(folder, "default"), Path(folder, "everywhere")
        yield from _measure(default, "default witness interval", Choices(interval=INTERVAL), 2 if quick else 4, "1.05")
        yield _check(default)
        every_step = Choices(interval=INTERVAL, witness_interval=1)
        yield from _measure(everywhere, "a digest at every step", every_step, 2, "1.30", memory=True)


def _measure(
    out: Path, what: str, choices: Choices, rounds: int, limit: str, *, memory: bool = False
) -> Iterator[Line]:
    task = large_state()
    recording = Recording(task, out, steps=rounds * STEPS, choices=choices)
    size, every = recording.witness.layout.nbytes, recording.commitment.schedule.witness_interval
    others, used = step_inputs(recording.commitment, task.source, 1, FOREVER), list[tuple[float, ...]]()
    with recording:
        assert recording.follower is not None  # noqa: S101  # the recording is open
        inputs, state, peaks = iter(recording), recording.leaves, [0, 0]
        for _round in range(rounds):
            other = train_plainly(recording.program, tuple(leaf.copy() for leaf in state), others, 2)
            reset_peak()
            begun = time.perf_counter(), time.process_time()
            train_plainly(recording.program, other, others, STEPS)
            plain = time.perf_counter() - begun[0], time.process_time() - begun[1]
            peaks[0] = max(peaks[0], peak_bytes())
            del other
            reset_peak()
            begun = time.perf_counter(), time.process_time()
            state = run(recording.program, state, itertools.islice(inputs, STEPS), recording.follower)
            used.append((*plain, time.perf_counter() - begun[0], time.process_time() - begun[1]))
            peaks[1] = max(peaks[1], peak_bytes())
    name = f"{size / 1e6:.0f} MB state: {what} ({every})"
    plain_wall, plain_cpu, wall, cpu = map(sum, zip(*used, strict=True))
    each = sorted(round_wall / round_plain for round_plain, _, round_wall, _ in used)
    value = f"{wall / plain_wall:.3f} ({each[0]:.3f}-{each[-1]:.3f})"
    step = 1e3 * statistics.median(first for first, *_ in used) / STEPS
    yield Line(name, value, limit, f"{step:.0f} ms a step; processor time {cpu / plain_cpu:.3f}")
    if memory and all(peaks):
        beyond = (peaks[1] - peaks[0]) / size + 1  # the copy with which training without a proof goes on
        yield Line(f"{size / 1e6:.0f} MB state: memory beyond the plain loop's", f"{beyond:.1f} states", "2 states")


def _check(out: Path) -> Line:
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e9
    times = sorted(_seconds_of(("check", str(out))) for _ in range(3))
    limit = f"{0.5 + size:.1f} s"
    return Line(f"pol check of {size:.1f} GB", f"{times[1]:.2f} s", limit, "half a second, and one for each GB")


def _seconds_of(arguments: Sequence[str]) -> float:
    begun = time.perf_counter()
    output_of(sys.executable, "-m", "pol_jax.cli", *arguments)
    return time.perf_counter() - begun


def large_state(
    data_dir: Path | None = None, steps: int | None = None, width: int = WIDTH, batch_size: int = BATCH
) -> Task:
    """Return the task; the records are noise."""
    adam, draw = optax.adam(1e-3), np.random.default_rng(0)

    def init(key: jax.Array) -> PyTree:
        widths = [width] * (LAYERS + 1) + [CLASSES]
        weights = [
            jax.random.normal(one, shape) / shape[0] ** 0.5
            for one, shape in zip(jax.random.split(key, LAYERS + 1), itertools.pairwise(widths), strict=True)
        ]
        return {"weights": weights, "adam": adam.init(weights)}

    def loss_of(weights: Sequence[jax.Array], batch: PyTree) -> jax.Array:
        x = jnp.tile(batch["x"], (1, -(-width // FEATURES)))[:, :width]
        for each in weights[:-1]:
            x = jax.nn.relu(x @ each)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(x @ weights[-1], batch["label"]))

    def step(state: PyTree, batch: PyTree, _key: jax.Array) -> tuple[PyTree, dict[str, jax.Array]]:
        loss, gradient = jax.value_and_grad(loss_of)(state["weights"], batch)
        updates, moments = adam.update(gradient, state["adam"], state["weights"])
        return {"weights": optax.apply_updates(state["weights"], updates), "adam": moments}, {"loss": loss}

    records = {
        "x": draw.normal(size=(4096, FEATURES)).astype(np.float32),
        "label": draw.integers(0, CLASSES, 4096).astype(np.int32),
    }
    return Task("large state", init, step, Arrays(records), batch_size=batch_size, steps=steps or 100)

"""What exact arithmetic costs: CPU time of a step, compile time, temporary memory, and accuracy, beside plain float32.

    python scripts/exact_costs.py mlp digits shakespeare resnet20 --data-dir DIR

Runs of the plain and of the exact step alternate, and the smallest CPU time of each counts, so that what else the
machine does matters little. The last column is the distance of the two steps' results over the length of the update.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pol_jax.exact import exact

ROUNDS = 9
_NAMES = {"resnet20": "cifar10", "transformer": "shakespeare"}


@dataclass(frozen=True)
class FlatTask:
    """A training step over flat leaves, and what to run it on.

    Attributes:
        step: of leaves, a batch and a key to leaves and metrics.
        init: of a key to leaves.
        records: takes indices of records, gives a batch.
        length: how many records there are.
        batch: how many of them a batch has.
        evaluate: of a state to named numbers, if the task has an evaluation of its own.
    """

    step: Callable[..., Any]
    init: Callable[[Any], Any]
    records: Callable[[np.ndarray], Any]
    length: int
    batch: int
    evaluate: Callable[[Any], Mapping[str, float]] | None = None

    def initial(self, seed: int = 3) -> Any:
        """The initial state."""
        return jax.tree.map(np.asarray, jax.jit(self.init)(np.array([0, seed], np.uint32)))

    def inputs(self, index: int) -> tuple[Any, Any]:
        """The batch and the key of a step."""
        chosen = np.random.default_rng(index).integers(0, self.length, self.batch)
        return self.records(chosen), np.array([7, index], np.uint32)


def mlp() -> FlatTask:
    """Three layers of 64, 256, 256 and 10 units, with Adam, on random records."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((512, 64)).astype(np.float32)
    y = generator.integers(0, 10, 512).astype(np.int32)
    optimizer = optax.adam(1e-3)
    sizes = (64, 256, 256, 10)

    def init(key: Any) -> Any:
        keys = jax.random.split(jax.random.wrap_key_data(key), 3)
        layers = [
            (jax.random.normal(key, (rows, columns)) * np.float32((2 / rows) ** 0.5), jnp.zeros(columns))
            for key, rows, columns in zip(keys, sizes, sizes[1:], strict=False)
        ]
        return layers, optimizer.init(layers)

    def loss_of(layers: Any, batch: Any) -> Any:
        value = batch["x"]
        for index, (weights, bias) in enumerate(layers):
            value = value @ weights + bias
            value = jax.nn.relu(value) if index < len(layers) - 1 else value
        return optax.softmax_cross_entropy_with_integer_labels(value, batch["y"]).mean()

    def step(state: Any, batch: Any, key: Any) -> Any:
        layers, moments = state
        loss, gradient = jax.value_and_grad(loss_of)(layers, batch)
        updates, moments = optimizer.update(gradient, moments, layers)
        return (optax.apply_updates(layers, updates), moments), {"loss": loss}

    return FlatTask(step, init, lambda at: {"x": x[at], "y": y[at]}, len(x), 128)


def flat_task(name: str, data_dir: Path | None, batch: int | None) -> FlatTask:
    """A task by its name, with keys as plain arrays; ``mlp`` is one of this script."""
    if name == "mlp":
        return dataclasses.replace(mlp(), batch=batch or 128)
    from pol_jax.training.task import load_task

    name = _NAMES.get(name, name)
    task = load_task(name, data_dir=None if name == "digits" else data_dir, steps=100)

    def typed(key: Any) -> Any:
        return jax.random.wrap_key_data(key, impl="threefry2x32")

    def records(chosen: np.ndarray) -> Any:
        return jax.tree.map(lambda *parts: np.stack(parts), *(task.source[int(at)] for at in chosen))

    return FlatTask(
        lambda state, given, key: task.step(state, given, typed(key)),
        lambda key: task.init(typed(key)),
        records,
        len(task.source),
        batch or task.batch_size,
        task.evaluate,
    )


def compiled(step: Callable[..., Any], arguments: Any) -> tuple[Any, float]:
    """A compiled step, and the CPU seconds that it took."""
    lowered = jax.jit(step).lower(*arguments)
    start = time.process_time()
    return lowered.compile(), time.process_time() - start


def distance(one: Any, other: Any) -> float:
    """The distance of two states over their float leaves."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    squares = (
        np.sum((np.asarray(x, np.float64) - np.asarray(y, np.float64)) ** 2)
        for x, y in pairs
        if jnp.issubdtype(x.dtype, np.floating)
    )
    return float(np.sqrt(sum(squares)))


def row(name: str, task: FlatTask) -> str:
    """A row of the table."""
    arguments = (task.initial(), *task.inputs(0))
    (plain, plain_compile), (other, exact_compile) = (compiled(f, arguments) for f in (task.step, exact(task.step)))
    states = [run(*arguments)[0] for run in (plain, other)]
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(ROUNDS):
        for index, run in enumerate((plain, other)):
            start = time.process_time()
            jax.block_until_ready(run(*arguments))
            times[index].append(time.process_time() - start)
    one, two = (1e3 * min(times[index]) for index in (0, 1))
    small, large = (run.memory_analysis().temp_size_in_bytes / 1e6 for run in (plain, other))
    error = distance(*states) / distance(states[0], arguments[0])
    return (
        f"| {name} | {one:.1f} | {two:.1f} | {two / one:.2f} | {plain_compile:.1f} | {exact_compile:.1f}"
        f" | {exact_compile / plain_compile:.1f} | {small:.1f} | {large:.1f} | {large / small:.1f} | {error:.1e} |"
    )


def main() -> int:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", help="mlp, digits, shakespeare, resnet20")
    parser.add_argument("--batch", type=int, help="records in a batch; the task's own by default")
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    device = jax.devices()[0]
    sys.stdout.write(f"jax {jax.__version__}, {device.platform} ({device.device_kind})\n\n")
    sys.stdout.write(
        "| task | plain ms | exact ms | ratio | plain compile s | exact compile s | ratio"
        " | plain temp MB | exact temp MB | ratio | error / update |\n" + "|---" * 11 + "|\n"
    )
    for name in chosen.tasks:
        sys.stdout.write(row(name, flat_task(name, chosen.data_dir, chosen.batch)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

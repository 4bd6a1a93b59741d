"""Does a training in exact arithmetic learn as much? Whole trainings, plain and exact, over several seeds.

    python scripts/exact_accuracy.py digits --steps 600
    python scripts/exact_accuracy.py resnet20 shakespeare --data-dir DIR --steps 200 --batch 32

Both trainings of a seed have the same initial state, batches and keys. The loss is the mean of the last tenth of the
steps; the last columns are the task's own evaluation of the final states.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from exact_costs import FlatTask, flat_task

from pol_jax.exact import exact


def trained(task: FlatTask, step: Callable[..., Any], seed: int, steps: int) -> tuple[Any, float]:
    """The final state of a training, and the mean loss of its last tenth."""
    state, losses = task.initial(seed), []
    for index in range(steps):
        state, metrics = step(state, *task.inputs(seed * steps + index))
        losses.append(float(metrics["loss"]))
    return state, float(np.mean(losses[-max(1, steps // 10) :]))


def evaluation(task: FlatTask, state: Any) -> Mapping[str, float]:
    """What the task's own evaluation says of a state."""
    return {} if task.evaluate is None else task.evaluate(state)


def rows(name: str, task: FlatTask, seeds: int, steps: int) -> list[str]:
    """A row of the table for each seed."""
    found = []
    plain, other = jax.jit(task.step), jax.jit(exact(task.step))
    for seed in range(seeds):
        (one, one_loss), (two, two_loss) = (trained(task, step, seed, steps) for step in (plain, other))
        scores = [
            f"{key} {value:.4f} → {evaluation(task, two)[key]:.4f}" for key, value in evaluation(task, one).items()
        ]
        found.append(f"| {name} | {steps} | {seed} | {one_loss:.4f} | {two_loss:.4f} | {', '.join(scores)} |")
        sys.stdout.write(found[-1] + "\n")
        sys.stdout.flush()
    return found


def main() -> int:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", help="digits, shakespeare, resnet20")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, help="records in a batch; the task's own by default")
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args()
    sys.stdout.write("| task | steps | seed | loss, plain | loss, exact | evaluation, plain → exact |\n" + "|---" * 6)
    sys.stdout.write("|\n")
    for name in chosen.tasks:
        rows(name, flat_task(name, chosen.data_dir, chosen.batch), chosen.seeds, chosen.steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())

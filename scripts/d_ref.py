"""Measure d_ref: the distance between the ends of two honest trainings that differ in nothing but their seed.

    python scripts/d_ref.py TASK [--steps N] [--data-dir DIR]

Trains the task twice, with seeds 0 and 1, each with a proof in a temporary directory, and prints the distances between
the two final states: over all floating-point leaves, which is what ``pol verify --d-ref`` takes (the l2 one), and over
the parameters alone, which is what Jia et al. (IEEE S&P 2021, arXiv:2103.05633) compare. TASK is a built-in name or
``module:attribute``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from state_distances import Distances, parameter_distances, state_distances

from pol_jax import Choices, PolError, Task, load_task, train
from pol_jax.protocol.trees import StateSpec

SEEDS: Final = ("0", "1")


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("--steps", type=int, help="of each training; the task's own number if left out")
    parser.add_argument("--data-dir", type=Path, help="TFDS data directory, for the tasks that need one")
    options = parser.parse_args()
    try:
        task = load_task(options.task, data_dir=options.data_dir, steps=options.steps)
        steps = task.steps if options.steps is None else options.steps
        whole, parameters = d_ref(task, steps)
    except PolError as error:
        sys.exit(f"{parser.prog}: {error}")
    print(f"{task.name}: two trainings of {steps} steps, seeds {' and '.join(SEEDS)}")
    print(f"{'':8} {'all leaves':>12} {'parameters':>12}")
    for metric in whole:
        print(f"{metric:8} {whole[metric]:12.6g} {parameters[metric]:12.6g}")
    print(f"for pol verify: --d-ref {whole['l2']:.6g}")


def d_ref(task: Task, steps: int) -> tuple[Distances, Distances]:
    """Return the distances between the final states of two trainings under `SEEDS`.

    Returns:
        Over all floating-point leaves, and over the parameters alone.
    """
    (spec, first), (_, second) = (_final_state(task, steps, seed) for seed in SEEDS)
    return state_distances(spec, first, second), parameter_distances(spec, first, second)


def _final_state(task: Task, steps: int, seed: str) -> tuple[StateSpec, list[np.ndarray]]:
    with tempfile.TemporaryDirectory() as folder:
        proof = train(task, folder, steps=steps, choices=Choices(interval=steps, seed=seed))
        return proof.commitment.state, [np.asarray(leaf) for leaf in proof.final_leaves()]


if __name__ == "__main__":
    main()

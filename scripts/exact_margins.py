"""The room between honest and forged steps where the program is in exact arithmetic: there is none to hide in.

    python scripts/exact_margins.py digits
    python scripts/exact_margins.py shakespeare resnet20 --data-dir DIR --batch 16

Each way to compile a task's exact step stands in for a prover's backend, the default compilation is the verifier's.
Honest and forged steps are taken from states at the start, in the middle and at the end of a short training. Errors are
shares of the update. What tolerances let through elsewhere (a last place, a small share of the way to a target) is
among the forgeries; one that changes no bit would be none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from figures.bench import Bench, State

from pol_jax import load_task
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.protocol.distances import distance
from pol_jax.protocol.trees import StateSpec

_NAMES = {"resnet20": "cifar10", "transformer": "shakespeare"}
STEERED = 3e-7
"""Share of an update by which a steering forger moves each step: far below every tolerance."""


def last_place(spec: StateSpec, state: State) -> State:
    """The same state with one bit changed: the last one of an element of the largest floating-point leaf."""
    largest = max((at for at, leaf in enumerate(spec) if is_floating(leaf.dtype)), key=lambda at: state[at].size)
    changed = state[largest].copy()
    flat = changed.reshape(-1)
    middle = flat.size // 2
    flat[middle] = np.nextafter(flat[middle], flat.dtype.type(np.inf))
    return [*state[:largest], changed, *state[largest + 1 :]]


def steered(spec: StateSpec, before: State, after: State, share: float) -> State:
    """The same state, moved towards an unrelated target by a share of the update."""
    found: State = []
    for leaf, old, new in zip(spec, before, after, strict=True):
        if is_floating(leaf.dtype):
            towards = np.random.default_rng(len(found)).standard_normal(new.shape)
            length = np.linalg.norm(np.asarray(new, np.float64) - old) / (np.linalg.norm(towards) or 1)
            new = (new + share * length * towards).astype(new.dtype)
        found.append(new)
    return found


def error(spec: StateSpec, before: State, expected: State, found: State) -> float:
    """The distance of a claimed state from the verifier's own, as a share of the update; 0 if all bits are equal."""
    if all(a.tobytes() == b.tobytes() for a, b in zip(expected, found, strict=True)):
        return 0.0
    return distance(spec, expected, found, "l2") / distance(spec, before, expected, "l2")


def rows(name: str, bench: Bench, after: Sequence[int]) -> bool:
    """Print a line for each backend that stands in for a prover's; tell whether no honest step differs."""
    spec, clean = bench.program.signature.state, True
    states = bench.states(0, after)
    for prover in (bench.made.reference, *bench.made.others):
        honest, forged = [], dict[str, list[float]]()
        for at, before in states.items():
            given, other = bench.inputs(0, at, 2)
            expected = bench.made.reference.run(before, [given])
            claimed = prover.run(before, [given])
            honest.append(error(spec, before, expected, claimed))
            for kind, state in {
                "last place": last_place(spec, claimed),
                "steered": steered(spec, before, claimed, STEERED),
                "other batch": prover.run(before, [replace(given, batch=other.batch)]),
                "other key": prover.run(before, [replace(given, key=other.key)]),
            }.items():
                forged.setdefault(kind, []).append(error(spec, before, expected, state))
        least = ", ".join(f"{kind} {min(values):.1e}" for kind, values in forged.items())
        sys.stdout.write(f"| {name} | {prover.variant.name} | {max(honest):.1e} | {least} |\n")
        sys.stdout.flush()
        clean = clean and not any(honest) and all(min(values) > 0 for values in forged.values() if len(values))
    return clean


def main() -> int:
    """Print the table; the exit code is 1 if an honest step differs, or a forged one doesn't."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", help="digits, shakespeare, resnet20")
    parser.add_argument("--steps", type=int, default=20, help="of the training")
    parser.add_argument("--batch", type=int, help="records in a batch; the task's own by default")
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args()
    clean = True
    sys.stdout.write(
        "| task | prover compiled with | largest honest error | smallest forged errors |\n|---|---|---|---|\n"
    )
    for name in chosen.tasks:
        task = load_task(_NAMES.get(name, name), data_dir=chosen.data_dir, steps=chosen.steps)
        task = replace(task, arithmetic="exact", batch_size=chosen.batch or task.batch_size)
        clean = rows(name, Bench.of(task), (0, chosen.steps // 2, chosen.steps - 1)) and clean
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())

"""Measure the room between honest and forged steps where the verifier's backend is not the prover's.

    python scripts/margins.py [--steps N] [--quick] [--data-dir DIR] [--only digits cifar10 shakespeare]

Every way to compile a task's step stands in for the prover's backend once; the verifier has the others. Honest and
forged steps are taken from states at the start, in the middle and at the end of a short training. Prints a line for
each task and prover, errors and tolerances as shares of the update. ``--data-dir`` is the TFDS data directory for
CIFAR-10 and Shakespeare; without it those two are left out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pol_jax import Choices, Task, load_task
from pol_jax.judging.leaf_distances import is_floating
from pol_jax.judging.tolerance import StepComparison
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, Program, Signature, load_program
from pol_jax.progress import Silent
from pol_jax.protocol.trees import StateSpec
from pol_jax.proving.commit import write_commitment
from pol_jax.reports.report import Outcome
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.verifying.calibration import judge_stretch
from pol_jax.verifying.compilations import Compilation, Compilations, compile_variants

ENOUGH = 100
"""The smallest forged error over the largest honest one, at least."""

TASKS = ("digits", "cifar10", "shakespeare")

State = list[np.ndarray]


@dataclass
class Seen:
    """What came of the steps of one prover: comparisons of honest ones, and of forged ones by kind."""

    honest: list[StepComparison] = field(default_factory=list)
    forged: list[tuple[str, StepComparison]] = field(default_factory=list)

    def line(self, task: str, prover: str) -> str:
        """As a line of the table."""
        honest = max(each.total.relative_error for each in self.honest)
        tolerance = max(each.total.relative_tolerance for each in self.honest)
        kind, least = min(((kind, each.total.relative_error) for kind, each in self.forged), key=lambda pair: pair[1])
        margin = least / honest if honest else float("inf")
        verdicts = _counted(each.outcome for each in self.honest)
        against = _counted(each.outcome for _, each in self.forged)
        enough = "yes" if margin >= ENOUGH else "NO"
        return (
            f"{task:12} {prover:28} {honest:9.1e} {tolerance:9.1e} {least:9.1e} {kind:14} "
            f"{margin:9.1e} {enough:4} {verdicts:>9} {against:>9}"
        )


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="of the training")
    parser.add_argument("--quick", action="store_true", help="20 steps; for trying the script")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=TASKS)
    options = parser.parse_args()
    print("errors and tolerances over the update; outcomes as passed/inconclusive/failed")
    print(
        f"{'task':12} {'prover compiled with':28} {'honest':>9} {'tolerance':>9} {'forged':>9} {'(by)':14} "
        f"{'margin':>9} {'100?':4} {'honest':>9} {'forged':>9}"
    )
    for name in options.only:
        if name != "digits" and options.data_dir is None:
            print(f"{name:12} not measured: needs --data-dir")
            continue
        steps = 20 if options.quick else options.steps
        measure_task(load_task(name, data_dir=options.data_dir, steps=steps), steps)


def measure_task(task: Task, steps: int) -> None:
    """All provers of one task."""
    program, inputs = _program_and_inputs(task, steps)
    spec, made = program.signature.state, compile_variants(program)
    for refused in made.refused:
        print(f"{task.name:12} left out: {refused}")
    every = (made.reference, *made.others)
    states = _states(program, made.reference, inputs, (0, steps // 2, steps - 1))
    for prover in every:
        reference, *others = (each for each in every if each is not prover)
        verifier, seen = replace(made, reference=reference, others=tuple(others)), Seen()
        for at, before in states.items():
            _judge(verifier, prover, before, inputs[at : at + 2], spec, seen, is_first=at == 0)
        print(seen.line(task.name, prover.variant.name), flush=True)
        for kind, comparison in (*(("honest", each) for each in seen.honest), *seen.forged):
            if comparison.outcome is not (Outcome.PASSED if kind == "honest" else Outcome.FAILED):
                print(f"  {kind}: {comparison.outcome}: {'; '.join(comparison.reasons[:3])}")


def _judge(
    verifier: Compilations,
    prover: Compilation,
    before: State,
    inputs: Sequence[StepInput],
    spec: StateSpec,
    seen: Seen,
    *,
    is_first: bool,
) -> None:
    """An honest step, and forged ones in its place."""
    mine, other = inputs
    honest = prover.run(before, [mine])
    seen.honest.append(judge_stretch(verifier, before, honest, [mine]))
    forgeries = {
        "interpolated": _moved(spec, before, honest, 0.5),
        "rate + 1%": _moved(spec, before, honest, 1.01),
        "other batch": prover.run(before, [replace(mine, batch=other.batch)]),
        "other key": prover.run(before, [replace(mine, key=other.key)]),
    }
    if not is_first:  # at the start the optimizer is at zero anyway
        forgeries["momentum reset"] = prover.run(_reset(spec, before), [mine])
    for kind, after in forgeries.items():
        seen.forged.append((kind, judge_stretch(verifier, before, after, [mine])))


def _program_and_inputs(task: Task, steps: int) -> tuple[Program, list[StepInput]]:
    """A task's program as published, and the inputs of its steps and of one more."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        commitment = write_commitment(root, task, Choices(), Silent())
        artifacts = Artifacts((root / INIT_FILE).read_bytes(), (root / STEP_FILE).read_bytes())
    program = load_program(artifacts, Signature.of(commitment))
    return program, list(step_inputs(commitment, task.source, 1, steps + 2))


def _states(
    program: Program, compilation: Compilation, inputs: Sequence[StepInput], wanted: Sequence[int]
) -> Mapping[int, State]:
    """States of an honest training after some of its steps."""
    found, state, done = dict[int, State](), [np.asarray(leaf) for leaf in program.init(inputs[0].key)], 0
    for step in wanted:
        state = compilation.run(state, inputs[done:step])
        found[step], done = state, step
    return found


def _moved(spec: StateSpec, before: State, after: State, share: float) -> State:
    """A state so far on the line between two, in what is a real number; the rest as in the later one."""
    triples = zip(spec, before, after, strict=True)
    return [(a + share * (b - a)).astype(b.dtype) if is_floating(leaf.dtype) else b for leaf, a, b in triples]


def _reset(spec: StateSpec, state: State) -> State:
    """A state whose optimizer has forgotten everything but how many steps it has done."""
    forgets = [is_floating(leaf.dtype) and "/optimizer" in leaf.path for leaf in spec]
    return [np.zeros_like(leaf) if forget else leaf for forget, leaf in zip(forgets, state, strict=True)]


def _counted(outcomes: Iterator[Outcome]) -> str:
    counts = Counter(outcomes)
    return "/".join(str(counts[each]) for each in (Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED))


if __name__ == "__main__":
    main()

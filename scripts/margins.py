"""Measure the room between honest and forged steps where the verifier's backend is not the prover's.

    python scripts/margins.py [--steps N] [--quick] [--batch N] [--data-dir DIR] [--only digits cifar10 shakespeare]
                              [--provers NAME ...]

Every way to compile a task's step stands in for the prover's backend once; the verifier has the others. Honest and
forged steps are taken from states at the start, in the middle and at the end of a short training. A step that does not
pass is judged with the prover's decisions too; a forged one with those of the honest step in its place. Prints a line
for each task and prover, errors and tolerances as shares of the update. ``--data-dir`` is the TFDS data directory for
CIFAR-10 and Shakespeare; without it those two are left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from figures.bench import Bench, State

from pol_jax import Task, load_task
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.judging.tolerance import StepComparison
from pol_jax.protocol.decision_entries import entries_by_site
from pol_jax.protocol.trees import StateSpec
from pol_jax.proving.decision_log import DecisionLog
from pol_jax.reports.comparison import UsedDecisions
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import Compilation, Compilations, variants
from pol_jax.verifying.decided_spans import FollowedSteps
from pol_jax.verifying.observed_steps import ObservedSteps

ENOUGH = 1000
"""The smallest forged error over the largest honest one, at least."""

TASKS = ("digits", "cifar10", "shakespeare")


@dataclass
class Judged:
    """The comparisons of one prover's steps: of honest ones, and of forged ones with the kind of the forgery."""

    honest: list[StepComparison] = field(default_factory=list)
    forged: list[tuple[str, StepComparison]] = field(default_factory=list)
    used: list[UsedDecisions] = field(default_factory=list)

    def line(self, task: str, prover: str) -> str:
        """Write them as a line of the table."""
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

    def decisions(self) -> str:
        """Say how many entries were used, and how far all near ties could have moved the state."""
        used = [each.used for each in self.used]
        choices = max((each.choices or 0 for each in self.used), default=0) / max(
            (each.total.size for each in self.honest), default=1
        )
        return f"  decisions: used in {len(used)} judgements, {max(used, default=0)} at most; choices {choices:.1e}"

    def surprises(self) -> Iterable[str]:
        """Yield a line for each honest step that did not pass, and for each forged one that did not fail."""
        for kind, comparison in (*(("honest", each) for each in self.honest), *self.forged):
            if comparison.outcome is not (Outcome.PASSED if kind == "honest" else Outcome.FAILED):
                yield f"  {kind}: {comparison.outcome}: {'; '.join(comparison.reasons[:3])}"


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="of the training")
    parser.add_argument("--quick", action="store_true", help="20 steps; for trying the script")
    parser.add_argument("--batch", type=int, help="of the training; the task's own if left out")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=TASKS)
    names = [each.name for each in variants()]
    parser.add_argument("--provers", nargs="+", default=names, choices=names, help="these compilations as provers")
    options = parser.parse_args()
    print("errors and tolerances over the update; outcomes as passed/inconclusive/failed")
    print(
        f"{'task':12} {'prover compiled with':28} {'honest':>9} {'tolerance':>9} {'forged':>9} {'(by)':14} "
        f"{'margin':>9} {'1e3?':4} {'honest':>9} {'forged':>9}"
    )
    for name in options.only:
        if name != "digits" and options.data_dir is None:
            print(f"{name:12} not measured: needs --data-dir")
            continue
        steps = 20 if options.quick else options.steps
        task = load_task(name, data_dir=options.data_dir, steps=steps)
        measure_task(replace(task, batch_size=options.batch or task.batch_size), steps, options.provers)


def measure_task(task: Task, steps: int, provers: Sequence[str]) -> None:
    """Judge the steps of these provers of one task."""
    bench = Bench.of(task)
    for refused in bench.made.refused:
        print(f"{task.name:12} left out: {refused}")
    every = (bench.made.reference, *bench.made.others)
    states = bench.states(0, (0, steps // 2, steps - 1))
    observed = ObservedSteps(bench.program, [each.variant for each in every])
    for prover in (each for each in every if each.variant.name in provers):
        reference, *others = (each for each in every if each is not prover)
        verifier, judged = replace(bench.made, reference=reference, others=tuple(others)), Judged()
        for at, before in states.items():
            _judge(verifier, prover, before, bench.inputs(0, at, 2), observed, judged)
        print(judged.line(task.name, prover.variant.name), flush=True)
        if judged.used:
            print(judged.decisions())
        for line in judged.surprises():
            print(line)


def _judge(
    verifier: Compilations,
    prover: Compilation,
    before: State,
    inputs: Sequence[StepInput],
    observed: ObservedSteps,
    judged: Judged,
) -> None:
    """Judge an honest step from a state, and forged ones in its place."""
    inputs, other = inputs[:1], inputs[1]
    spec, own = verifier.spec, [each.variant for each in verifier.every]
    honest, metrics = prover.execute(before, inputs)
    log = DecisionLog(observed.program, observed.ordered([prover.variant, *own]))
    steps = observed.ordered(own)
    entries = {each.step: entries_by_site(each, steps.kinds, "this step") for each in log.write(before, honest, inputs)}

    followed = FollowedSteps(steps, verifier, before, inputs, entries)

    def judge(after: State) -> StepComparison:
        found = judge_span(verifier, before, after, inputs)
        if found.outcome is Outcome.PASSED:
            return found
        decided = followed.judge(after, metrics)
        judged.used.append(followed.described)
        return decided if decided.outcome is Outcome.PASSED else found

    judged.honest.append(judge(honest))
    forgeries = {
        "interpolated": _moved(spec, before, honest, 0.5),
        "rate + 1%": _moved(spec, before, honest, 1.01),
        "other batch": prover.run(before, [replace(inputs[0], batch=other.batch)]),
        "other key": prover.run(before, [replace(inputs[0], key=other.key)]),
    }
    if inputs[0].step > 1:  # before the first step the optimizer is at zero anyway
        forgeries["momentum reset"] = prover.run(_reset(spec, before), inputs)
    for kind, after in forgeries.items():
        judged.forged.append((kind, judge(after)))


def _moved(spec: StateSpec, before: State, after: State, share: float) -> State:
    """Move floating-point leaves by a share of the way from one state to the other; the rest is as in the later one."""
    triples = zip(spec, before, after, strict=True)
    return [(a + share * (b - a)).astype(b.dtype) if is_floating(leaf.dtype) else b for leaf, a, b in triples]


def _reset(spec: StateSpec, state: State) -> State:
    """Set the optimizer's floating-point leaves to zero: it keeps only the number of steps that it has done."""
    forgets = [is_floating(leaf.dtype) and "/optimizer" in leaf.path for leaf in spec]
    return [np.zeros_like(leaf) if forget else leaf for forget, leaf in zip(forgets, state, strict=True)]


def _counted(outcomes: Iterable[Outcome]) -> str:
    counts = Counter(outcomes)
    return "/".join(str(counts[each]) for each in (Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED))


if __name__ == "__main__":
    main()

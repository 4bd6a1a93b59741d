"""An honest run of a task, and the places in it from which steps are forged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from figures.bench import Bench

from pol_jax import Arrays, Task, load_task
from pol_jax.attacks.transcript import parameters_of, state_distance
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import Compilations
from pol_jax.verifying.observed_steps import ObservedSteps
from red_team.shared import remembered

RECORDS: Final = 2000
"""So many records of CIFAR-10 are enough for short runs."""


BATCH: Final = 16
"""The batch of ResNet-20 is smaller than the published one, so that a step takes less time."""


PLACES: Final = 10
"""Steps are forged from so many places of an honest run."""


def task_named(name: str, data_dir: Path | None, steps: int, count: int = RECORDS) -> Task:
    """Return a task; CIFAR-10 with so many of its records, and smaller batches."""
    task = load_task(name, data_dir=data_dir, steps=steps)
    if name != "cifar10":
        return task
    records = [task.source[index] for index in range(count)]
    kept = {leaf: np.stack([np.asarray(each[leaf]) for each in records]) for leaf in records[0]}
    return replace(task, source=Arrays(kept), batch_size=BATCH)


@dataclass(frozen=True)
class Place:
    """A place in an honest run, with all that a forger and a verifier know there.

    Attributes:
        honest_run: the run.
        step: the number of the step to be forged.
        before: the state before it.
        honest: the state after it.
        inputs: of the step.
        other: inputs of another step, whose batch may be used instead.
    """

    honest_run: HonestRun
    step: int
    before: HostLeaves
    honest: HostLeaves
    inputs: StepInput
    other: StepInput

    @property
    def update(self) -> float:
        """Return the length of the honest update of the parameters."""
        return state_distance(self.honest_run.spec, self.before, self.honest, self.honest_run.places)

    def with_batch(self, batch: Sequence[np.ndarray]) -> HostLeaves:
        """Return the state after a true step on other records."""
        return self.honest_run.made.reference.run(self.before, [replace(self.inputs, batch=tuple(batch))])


@dataclass(frozen=True)
class HonestRun:
    """An honest run of a task, and this machine's compilations of it.

    Attributes:
        bench: runs the steps.
        made: its compilations, which remember what they executed.
        steps: of the run.
        d_ref: the distance between its final parameters and those of a run of another seed.
        target: the final state of that other run, which a forger claims to reach.
        states: of the run, by step, at evenly spaced places.
    """

    bench: Bench
    made: Compilations
    steps: int
    d_ref: float
    target: HostLeaves
    states: Mapping[int, HostLeaves]

    @classmethod
    def train(cls, task: Task, steps: int) -> HonestRun:
        """Train twice, and keep the states at evenly spaced places of the first run."""
        bench = Bench.of(task)
        at = sorted({int(step) for step in np.linspace(0, steps - 1, PLACES)})
        states = bench.states(0, [*at, steps])
        target = bench.states(1, [steps])[steps]
        spec = bench.program.signature.state
        d_ref = state_distance(spec, states[steps], target, parameters_of(spec))
        return cls(bench, remembered(bench.made), steps, d_ref, target, {step: states[step] for step in at})

    @property
    def spec(self) -> StateSpec:
        """Return the leaves of a state."""
        return self.bench.program.signature.state

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Return the places of the parameters."""
        return parameters_of(self.spec)

    @cached_property
    def observed(self) -> ObservedSteps:
        """Return the step with its decisions in view."""
        return ObservedSteps(self.bench.program, [each.variant for each in self.made.every])

    def at(self, step: int) -> Place:
        """Return the place before ``step + 1``."""
        inputs, other = self.bench.inputs(0, step, 2)
        before = self.states[step]
        return Place(self, step + 1, before, self.made.reference.run(before, [inputs]), inputs, other)

"""A worker at work: what it was asked for, what it trains, and what it returns, with a proof or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pol_jax import Assignment, Source, Task, TrustedTask, open_proof, open_steps, train_update
from pol_jax.program.artifact import Program, load_program
from pol_jax.protocol.initial import taken
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.trees import PyTree
from pol_jax.proving.fine_tuning import Start, choose_leaves
from pol_jax.training.initial_state import first_key
from pol_jax.training.pytrees import nested
from pol_jax.training.states import HostState
from pol_jax.workers.documents import Expectation, expect
from untrusted.forging import Change, ChangeBatch, as_assigned, no_change, open_forged, trajectory


class Programs:
    """The programs of tasks, exported and loaded once for all workers and rounds: by their steps and batch sizes."""

    def __init__(self) -> None:
        self._trusted: dict[object, TrustedTask] = {}
        self._loaded: dict[tuple[object, int], Program] = {}

    def trusted(self, task: Task) -> TrustedTask:
        """Return a task, exported."""
        return self._trusted.setdefault(task.step, TrustedTask(task))

    def loaded(self, task: Task, assignment: Assignment) -> Program:
        """Return its program, ready to run."""
        key = task.step, assignment.batch_size
        if key not in self._loaded:
            export = self.trusted(task).export(assignment)
            self._loaded[key] = load_program(export.artifacts, export.signature)
        return self._loaded[key]


@dataclass(frozen=True)
class Answer:
    """What a worker returns.

    Attributes:
        update: leaves of its final state, as it says.
        proof: the directory of its proof; there is none if the worker proves nothing.
        states: those that a forger has put into the proof, by their steps; None if it is not forged.
    """

    update: PyTree
    proof: Path
    states: Mapping[int, HostState] | None = None

    def open(self, source: Source, steps: Iterable[int]) -> Opening:
        """Answer a challenge."""
        if self.states is None:
            return open_steps(open_proof(self.proof), source, steps)
        return open_forged(self.proof, source, steps, self.states)


@dataclass(frozen=True)
class Site:
    """A worker with its records, in one round.

    Attributes:
        task: with the worker's records as its source.
        records: the same records, as arrays by name.
        previous: the global model that it was sent.
        assignment: what it was asked for.
        folder: to work in.
        earlier: the global model of the round before.
        neighbour: what another worker trained in this round.
        random: chance.
        proves: whether it proves what it trains. What it returns is the same, for a hundredth of the time.
        programs: of all workers.
    """

    task: Task
    records: Mapping[str, np.ndarray]
    previous: PyTree
    assignment: Assignment
    folder: Path
    earlier: PyTree
    neighbour: Callable[[], Answer]
    random: np.random.Generator
    proves: bool = True
    programs: Programs = Programs()  # noqa: RUF009  # what was exported once serves all

    @cached_property
    def expected(self) -> Expectation:
        """Return what a proof of this worker has if it follows its assignment."""
        return expect(self.programs.trusted(self.task), self.assignment, self.previous)

    def train(self) -> Answer:
        """Train as assigned."""
        if not self.proves:
            return self.trained()
        proof, update = train_update(self.task, self.previous, self.assignment, self.folder)
        return Answer(update, proof.root)

    def trained(self, change: Change = no_change, change_batch: ChangeBatch = as_assigned) -> Answer:
        """Train without a proof, with changes of what the steps receive and return."""
        commitment, steps = self.expected.commitment, self.assignment.steps
        _, leaves = choose_leaves(Start(self.previous, self.assignment.take), commitment.state)
        places = tuple(taken(commitment.initial, commitment.state))
        program = self.programs.loaded(self.task, self.assignment)
        state = program.start(first_key(commitment), dict(zip(places, leaves, strict=True)))
        first = [np.asarray(leaf) for leaf in state]
        *_, (_, last, _) = trajectory(commitment, program, self.task.source, steps, first, change, change_batch)
        spec = tuple(commitment.state[place] for place in places)
        return Answer(nested(spec, [np.asarray(last[place]) for place in places]), self.folder)


Behaviour: TypeAlias = Callable[[Site], Answer]

"""A bench runs the same steps of a task in every way that this machine can compile them, and compares the results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from jaxtyping import UInt32
from state_distances import parameter_distances

from pol_jax import Choices, Task
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, Program, load_program
from pol_jax.program.signature import Signature
from pol_jax.progress import Silent
from pol_jax.protocol.commitment import Commitment
from pol_jax.proving.commit import write_commitment
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.keys import step_keys
from pol_jax.verifying.compilations import Compilation, Compilations, Variant, compile_variants

State = list[np.ndarray]


class Difference(msgspec.Struct, frozen=True):
    """Two results of the same steps differ by this much, over the parameters, as in the paper.

    Attributes:
        relative: l2 distance over that of the update.
        l1: distance.
        l2: distance.
        linf: distance.
        cosine: distance.
        update: l2 distance from the state before the steps to the reference's after them.
    """

    relative: float
    l1: float
    l2: float
    linf: float
    cosine: float
    update: float


@dataclass(frozen=True)
class Bench:
    """A task can be run here in several ways.

    Attributes:
        task: what is trained.
        artifacts: its exported programs.
        commitment: fixes keys and order, for the seed that `inputs` is given.
        program: the programs, loaded.
        made: the step's compilations.
    """

    task: Task
    artifacts: Artifacts
    commitment: Commitment
    program: Program
    made: Compilations

    @classmethod
    def of(cls, task: Task, tried: Sequence[Variant] | None = None) -> Bench:
        """Export and compile a task, in the ways that are given or else in all that this machine has."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            commitment, _ = write_commitment(root, task, Choices(), Silent())
            artifacts = Artifacts((root / INIT_FILE).read_bytes(), (root / STEP_FILE).read_bytes())
        program = load_program(artifacts, Signature.from_commitment(commitment))
        return cls(task, artifacts, commitment, program, compile_variants(program, tried))

    def inputs(self, seed: int, start: int, steps: int) -> list[StepInput]:
        """Return the inputs of so many steps after ``start``; another seed gives other keys and another order."""
        return list(step_inputs(self._seeded(seed), self.task.source, start + 1, start + steps + 1))

    def first_key(self, seed: int) -> UInt32[np.ndarray, " words"]:
        """Return the key that gives the initial state."""
        key: np.ndarray = step_keys(self._seeded(seed).digest(), self.commitment.schedule.prng, 0, 1)[0]
        return key

    def states(self, seed: int, after: Sequence[int]) -> dict[int, State]:
        """Train in the reference compilation, and return the states after so many steps each."""
        initial = self.program.init(self.first_key(seed))
        state, done, found = [np.asarray(leaf) for leaf in initial], 0, dict[int, State]()
        for step in sorted(after):
            state = self.made.reference.run(state, self.inputs(seed, done, step - done))
            found[step], done = state, step
        return found

    def differences(
        self, before: State, inputs: Sequence[StepInput], lengths: Sequence[int]
    ) -> Iterator[tuple[str, int, Difference]]:
        """Yield each other compilation's name, a number of steps, and its difference from the reference after them."""
        reference = dict(along(self.made.reference, before, inputs, lengths))
        for other in self.made.others:
            for length, state in along(other, before, inputs, lengths):
                yield other.variant.name, length, self.difference(before, reference[length], state)

    def difference(self, before: State, after: State, other: State) -> Difference:
        """Compare two results, ``after`` and ``other``, of the same steps from ``before``."""
        found = parameter_distances(self.program.signature.state, after, other)
        update = parameter_distances(self.program.signature.state, before, after)["l2"]
        return Difference(found["l2"] / update, found["l1"], found["l2"], found["linf"], found["cosine"], update)

    def _seeded(self, seed: int) -> Commitment:
        return msgspec.structs.replace(self.commitment, nonce=str(seed))


def along(
    compilation: Compilation, before: State, inputs: Sequence[StepInput], lengths: Iterable[int]
) -> Iterator[tuple[int, State]]:
    """Yield the states after so many steps each; each step is one call of the compiled program."""
    state, done = before, 0
    for length in sorted(lengths):
        state = compilation.run(state, inputs[done:length])
        done = length
        yield length, state

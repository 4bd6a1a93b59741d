"""Steps of tiny tasks, with all compilations that a verifier tries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from made_steps import State

from pol_jax.program.artifact import Program
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import Compilations


@dataclass(frozen=True)
class Prepared:
    """A tiny task's program, all its compilations, the inputs of some steps, and the states around them."""

    program: Program
    made: Compilations
    inputs: list[StepInput]
    states: list[State]


def verifier_without(made: Compilations, at: int) -> Compilations:
    reference, *others = (each for i, each in enumerate((made.reference, *made.others)) if i != at)
    return replace(made, reference=reference, others=tuple(others))

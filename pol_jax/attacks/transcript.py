"""A transcript is a run as a forger tells it: a state after every step, with the inputs that each step is said to have.

The functions here are pure: they make states and transcripts, and touch no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np

from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.program.artifact import Program, executing
from pol_jax.protocol.distances import distance
from pol_jax.protocol.trees import HostLeaves, StateSpec, split_pointer
from pol_jax.training.inputs import StepInput

Change: TypeAlias = Callable[[int, HostLeaves, HostLeaves], HostLeaves]
"""``change(step, before, after)`` returns what a forger puts in the place of the state ``after`` a true step."""


@dataclass(frozen=True)
class Transcript:
    """A transcript holds a run as a forger tells it, whether or not its steps were taken.

    Attributes:
        inputs: of the steps 1 to T, in order.
        states: after the steps 0 to T, so one more than there are inputs.
        metrics: of the steps 1 to T; ``float32`` scalars in the order of the program's.
        altered: the steps whose state is not, bit for bit, what the program gave.
    """

    inputs: tuple[StepInput, ...]
    states: tuple[HostLeaves, ...]
    metrics: tuple[tuple[np.ndarray, ...], ...]
    altered: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return len(self.inputs)

    def then(self, later: Transcript) -> Transcript:
        """Return this run and then a later one, whose first state is dropped: it is said to be the last one here."""
        return Transcript(
            self.inputs + later.inputs,
            self.states + later.states[1:],
            self.metrics + later.metrics,
            self.altered + later.altered,
        )


def as_it_is(_step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
    """Return the state after a true step."""
    return after


def execute(program: Program, first: HostLeaves, inputs: Iterable[StepInput], change: Change = as_it_is) -> Transcript:
    """Execute true steps from a state, and return the run; ``change`` may replace the result of each step.

    It costs one gradient a step.
    """
    states, taken, metrics, altered = [first], list[StepInput](), list[tuple[np.ndarray, ...]](), list[int]()
    with executing(program.signature):
        for each in inputs:
            # A copy, since the step donates what it is given, and the transcript keeps every state.
            leaves = tuple(jnp.array(leaf) for leaf in states[-1])
            new, measured = program.step(leaves, each.batch, each.key)
            after = [np.array(leaf) for leaf in new]
            # `change` gets a list of its own, so that the comparison below is with what the program gave.
            states.append(change(each.step, states[-1], list(after)))
            if any(a.tobytes() != b.tobytes() for a, b in zip(after, states[-1], strict=True)):
                altered.append(each.step)
            taken.append(each)
            metrics.append(tuple(np.asarray(value, np.float32) for value in measured))
    return Transcript(tuple(taken), tuple(states), tuple(metrics), tuple(altered))


def invented(states: Sequence[HostLeaves], inputs: Sequence[StepInput], metrics: int) -> Transcript:
    """Return a run of states that no step gave, with losses that fall as losses do; it costs no gradient."""
    # About ln 10, the loss of who guesses among ten classes, is where the losses of the image tasks begin.
    falling = [tuple(np.float32(2.3 / (1 + 0.05 * each.step)) for _ in range(metrics)) for each in inputs]
    told = tuple(map(_as_arrays, falling))
    return Transcript(tuple(inputs), tuple(states), told, tuple(each.step for each in inputs))


def line(spec: StateSpec, first: HostLeaves, last: HostLeaves, steps: int) -> list[HostLeaves]:
    """Return the states after the steps 0 to ``steps`` of a straight line; counters count, and keys stay."""
    return [first, *(_between(spec, first, last, at / steps) for at in range(1, steps)), last]


def _between(spec: StateSpec, first: HostLeaves, last: HostLeaves, share: float) -> HostLeaves:
    found = []
    for leaf, a, b in zip(spec, first, last, strict=True):
        if is_floating(leaf.dtype):
            wide = a.astype(np.float64) + share * (b.astype(np.float64) - a.astype(np.float64))
            found.append(np.asarray(wide, a.dtype))
        elif leaf.prng is None and "int" in leaf.dtype:
            found.append(np.asarray(np.rint(a + share * (b.astype(np.float64) - a)), a.dtype))
        else:
            found.append(a)
    return found


def parameters_of(spec: StateSpec) -> tuple[int, ...]:
    """Return the places of the parameters: the floating-point leaves below ``/params``; all, if none is there."""
    floating = [at for at, leaf in enumerate(spec) if is_floating(leaf.dtype) and 0 not in leaf.shape]
    named = [at for at in floating if split_pointer(spec[at].path)[:1] == ["params"]]
    return tuple(named or floating)


def state_distance(spec: StateSpec, a: HostLeaves, b: HostLeaves, places: Sequence[int]) -> float:
    """Return the Euclidean distance between two states, over some of the leaves."""
    return distance([spec[at] for at in places], [a[at] for at in places], [b[at] for at in places], "l2")


def moved(state: HostLeaves, towards: HostLeaves, places: Sequence[int], length: float) -> HostLeaves:
    """Return a state whose leaves at ``places`` are moved by ``length`` towards another state, and not beyond it."""
    away = [towards[at].astype(np.float64) - state[at].astype(np.float64) for at in places]
    whole = float(np.sqrt(sum(np.sum(each * each) for each in away)))
    share = min(1.0, length / whole) if whole else 0.0
    found = list(state)
    for at, each in zip(places, away, strict=True):
        found[at] = np.asarray(state[at].astype(np.float64) + share * each, state[at].dtype)
    return found


def _as_arrays(values: tuple[np.float32, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(value) for value in values)

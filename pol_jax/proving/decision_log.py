"""The prover writes down what operands of decisions were near a tie, when steps are opened (docs/protocol.md, 14.2).

Nothing of this happens in training: the opened steps are executed once more, by a program that shows its decisions.
How near is near is a matter of this machine's own compilations, with room for a verifier whose rounding is another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from pol_jax.errors import BackendError
from pol_jax.judging.decision_bounds import NearTies
from pol_jax.program.artifact import Program
from pol_jax.protocol.decision_entries import Entries, EntriesBySite, overlaid, step_decisions
from pol_jax.protocol.decisions import StepDecisions
from pol_jax.protocol.distances import distance
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import variants
from pol_jax.verifying.observed_steps import MIN_VARIANTS, Observe, ObservedSteps

LONGEST_SPAN: Final = 5
"""Entries are written for spans of at most this many steps: after more, values of two backends are too far apart."""

MOST_TRIES: Final = 1024
"""At most this many executions of a step are spent on finding what it decided in training."""

_CLOSE: Final = 2.0**-10
"""A value "just beyond" a tie is so far from it, as a share of the bound."""

_NOISE_FACTOR: Final = 4.0
"""An error of up to this many times what compilations differ by is rounding, and shows no wrong choice."""

_WIDER: Final = 8.0
"""The prover's bounds are this many times a verifier's: what is near a tie on one machine is a little farther on
another."""


class DecisionLog:
    """A decision log writes the decisions of one program."""

    def __init__(self, program: Program, steps: ObservedSteps | None = None) -> None:
        """Prepare to execute steps of a program in view of their decisions.

        Args:
            program: of the proof.
            steps: its instrumented step, compiled as it was trained, and in other ways; None for `variants`.
        """
        self._program, self._steps = program, steps
        self.missing: str | None = None
        """This says why there are no entries for some step, in words; None if there was no obstacle."""

    def write(self, before: HostLeaves, after: HostLeaves, inputs: Sequence[StepInput]) -> list[StepDecisions]:
        """Return the decisions of the steps of a span; of those that have any, and not too many.

        Args:
            before: leaves of the state before the first step.
            after: leaves of the state after the last one, as it was trained.
            inputs: of the steps, in order.
        """
        if len(inputs) > LONGEST_SPAN:
            self.missing = f"spans of more than {LONGEST_SPAN} steps have no decisions"
            return []
        try:
            return self._write(before, after, inputs)
        except BackendError as error:  # an opening is worth something without
            self.missing = str(error)
            return []

    def _write(self, before: HostLeaves, after: HostLeaves, inputs: Sequence[StepInput]) -> list[StepDecisions]:
        steps = self._observed()
        if len(steps.variants) < MIN_VARIANTS:
            raise BackendError("this machine has too few compilations to tell what is near a tie")
        found, states = list[StepDecisions](), [before] * len(steps.variants)
        for each in inputs:
            executions = [partial(steps.observe, at, state, each) for at, state in enumerate(states)]
            bounds = steps.calibrate(executions)
            observed = [execute({}) for execute in executions]
            near = bounds.scaled(_WIDER).near(observed[0].values)
            entries: EntriesBySite = {
                site: Entries(ties.indices, ties.values) for site, ties in near.items() if len(ties.indices)
            }
            # Over several steps, one other choice changes all that follows, so that no search by single choices leads
            # anywhere.
            if len(inputs) == 1:
                doubtful = bounds.near(observed[0].values)
                search = _Search(self._program.signature.state, after, executions[0])
                entries = search.improve(entries, doubtful, search.error_among(entries, executions[1:]))
            found += filter(None, [step_decisions(each.step, entries)])
            states = [one.state for one in observed]
        return found

    def _observed(self) -> ObservedSteps:
        if self._steps is None:
            self._steps = ObservedSteps(self._program, variants())
            self._steps.leave_out_refused()
        return self._steps


class _Search:
    """Finds what a step decided in training, where the program that shows decisions has other last bits.

    Near enough to a tie, those bits lead to another decision. But the state after the step is known: the right choices
    lead to it, but for rounding. Each choice moves the state by itself, so that they can be tried one after the other.
    """

    def __init__(self, spec: StateSpec, after: HostLeaves, execute: Observe) -> None:
        self._spec, self._after, self._execute = spec, after, execute

    def error_among(self, entries: EntriesBySite, others: Sequence[Observe]) -> float:
        """Return how far results of several compilations are from each other, where all of them use the entries."""
        first = self._execute(entries).state
        return max((distance(self._spec, first, each(entries).state, "l2") for each in others), default=0.0)

    def improve(self, entries: EntriesBySite, doubtful: Mapping[int, NearTies], noise: float) -> EntriesBySite:
        """Return the entries with other values where these lead nearer to the state that was trained."""
        error, tries = self._error(entries), 0
        for site, places in _choices(doubtful):
            if error <= _NOISE_FACTOR * noise or tries >= MOST_TRIES:
                break
            for values in _alternatives(doubtful[site], places):
                other = overlaid(entries, {site: Entries(doubtful[site].indices[places], values)})
                tries += 1
                # By more than the noise: a smaller gain may be rounding, and the choice would then be a guess.
                if (moved := self._error(other)) < error - noise:
                    entries, error = other, moved
        return entries

    def _error(self, entries: EntriesBySite) -> float:
        return distance(self._spec, self._after, self._execute(entries).state, "l2")


def _choices(ties: Mapping[int, NearTies]) -> list[tuple[int, np.ndarray]]:
    """Return what is chosen at once, by site and places of near ties: first equal elements, then each; nearest first.

    Elements that are equal here came from equal numbers, and were equal in training too.
    """
    found = list[tuple[int, float, int, np.ndarray]]()
    for site, each in ties.items():
        for value in np.unique(each.values):
            places = np.flatnonzero(each.values == value)
            nearest = float(each.distance[places].min())
            alone = [(1, nearest, site, places[at : at + 1]) for at in range(len(places))]
            found += [(0, nearest, site, places), *alone] if len(places) > 1 else alone
    return [(site, places) for *_, site, places in sorted(found, key=lambda choice: choice[:3])]


def _alternatives(ties: NearTies, places: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the values at which elements tie, just beyond, and just before."""
    gap, crossing = ties.gap[places], ties.crossing[places]
    tie = ties.values[places].astype(np.float64) + crossing * gap
    beyond = crossing * np.maximum(gap, ties.most[places] * _CLOSE)
    for values in (tie, tie + beyond, tie - beyond):
        yield values.astype(ties.values.dtype)

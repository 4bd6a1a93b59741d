"""Steps are judged with the prover's decisions, where this machine sees rounding decide (docs/protocol.md, 14.2).

The steps are executed with the entries that are usable, under every compilation, and then judged by the same rules as
without. What is usable is a matter of this machine's own results alone: an entry can't make a step pass that is off by
more than rounding and the choices that rounding leaves open, and how far those reach is measured too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from pol_jax.judging.decision_bounds import NearTies, SiteBounds
from pol_jax.judging.decision_use import choice_rooms, total_choices, used_share
from pol_jax.judging.tolerance import StepComparison
from pol_jax.protocol.decision_entries import Entries, EntriesBySite, count_entries, overlaid, without
from pol_jax.protocol.distances import finite
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.comparison import UsedDecisions
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import Compilation, Compilations, Metrics
from pol_jax.verifying.observed_steps import Observation, ObservedSteps

_SIDES: Final = (1, -1)
"""Near ties are put on one side or the other, by halves, and then all the other way: each is on its wrong side once."""

_MIX: Final = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio, an odd number: it spreads the bits of an index, for halves that follow no pattern."""

Offered = Mapping[int, EntriesBySite]
"""These are entries by step."""


def judge_decided(
    steps: ObservedSteps,
    compilations: Compilations,
    before: HostLeaves,
    after: HostLeaves,
    inputs: Sequence[StepInput],
    committed: Sequence[Metrics] | None,
    offered: Offered,
) -> tuple[StepComparison, UsedDecisions]:
    """Judge the steps between two committed states, with entries for some of their decisions.

    Args:
        steps: the instrumented step, under the same compilations.
        compilations: of the proof's program.
        before: leaves of the state before the first step.
        after: leaves of the state after the last one.
        inputs: of the steps, in order; a few at most.
        committed: the metrics that the ledger has of these steps; None to compare states alone.
        offered: the prover's entries, by step.

    Raises:
        BackendError: the program can't be executed or followed here.
    """
    followed = FollowedSteps(steps, compilations, before, inputs, offered)
    return followed.judge(after, committed), followed.described


class FollowedSteps:
    """Followed steps are some steps from a state, under each compilation, with the entries that are used on the way."""

    def __init__(
        self,
        steps: ObservedSteps,
        compilations: Compilations,
        before: HostLeaves,
        inputs: Sequence[StepInput],
        offered: Offered,
    ) -> None:
        """Execute the steps, and find the entries that are usable.

        Args:
            steps: the instrumented step, under the same compilations.
            compilations: of the proof's program.
            before: leaves of the state before the first step.
            inputs: of the steps, in order.
            offered: the prover's entries, by step.

        Raises:
            BackendError: the program can't be executed or followed here.
        """
        self._steps, self._compilations, self._before, self._inputs = steps, compilations, before, inputs
        self._states = [before] * len(steps.variants)
        self._plain, self._wrong = before, [before] * len(_SIDES)
        self._used: dict[int, EntriesBySite] = {}
        self._farthest = 0.0
        self._unused: str | None = None
        for each in inputs:
            self._go_on(each, offered.get(each.step, {}))
        self._given = sum(count_entries(offered.get(each.step, {})) for each in inputs)
        self._choices = choice_rooms(compilations.spec, self._states[0], [*self._wrong, self._plain])

    def judge(self, after: HostLeaves, committed: Sequence[Metrics] | None) -> StepComparison:
        """Judge a committed state after the steps, and the metrics that the ledger has of them."""
        decided = _DecidedCompilations(self._compilations, self._steps, self._used)
        return judge_span(decided, self._before, after, self._inputs, committed)

    @property
    def described(self) -> UsedDecisions:
        """Return what was used, in the form of a report."""
        used = sum(count_entries(each) for each in self._used.values())
        choices = self._choices
        return UsedDecisions(
            given=self._given,
            used=used,
            farthest=finite(self._farthest),
            choices=total_choices(self._compilations.spec, choices),
            unused=self._unused,
            share=used_share(self._compilations.spec, self._plain, self._states[0], choices) if used else 0.0,
            rooms=tuple(choices),
        )

    def _go_on(self, given: StepInput, offered: EntriesBySite) -> None:
        """Execute one more step under every compilation, with those of the offered entries that are usable."""
        steps = self._steps
        # Each compilation goes on from its own state, as in a plain comparison of several steps.
        executions = [partial(steps.observe, at, state, given) for at, state in enumerate(self._states)]
        bounds = steps.calibrate(executions)
        # What is usable is decided by the reference alone, and then used under every compilation: else each would take
        # other choices, and their differences would look like noise.
        used, reference = steps.settle(executions[0], lambda found: bounds.usable(offered, found.values))
        near = bounds.near(reference.values)
        self._note(given.step, near, bounds, reference, used, without(offered, used))
        # Every near tie is put on one side, then on the other; entries beside these stay as they were used.
        # Each side goes on from its own state, so that wrong choices of several steps add up.
        self._wrong = [
            steps.observe(0, state, given, overlaid(used, _put(near, given.step, side))).state
            for state, side in zip(self._wrong, _SIDES, strict=True)
        ]
        # Section 14.2: the distance to the result without any entry counts among the choices, or a program could let
        # wrong choices on both sides cancel each other.
        self._plain = steps.observe(0, self._plain, given, {}).state
        self._states = [reference.state, *(each(used).state for each in executions[1:])]
        self._used[given.step] = used

    def _note(
        self,
        step: int,
        near: Mapping[int, NearTies],
        bounds: SiteBounds,
        found: Observation,
        used: EntriesBySite,
        unused: EntriesBySite,
    ) -> None:
        """Note how far from a tie entries were used, and the entry that is least like this machine's own value."""
        for site, each in used.items():
            of_used = near[site].distance[np.isin(near[site].indices, each.indices)]
            self._farthest = max(self._farthest, float(of_used.max(initial=0.0)))
        worst = max(
            ((_worst(bounds, site, each, found), site) for site, each in unused.items()),
            default=None,
            key=lambda at: at[0],
        )
        if worst is not None and self._unused is None:
            (off, index, own, value), site = worst
            allowed = bounds.bound(site)
            why = f"off by {off:.1e}, allowed {allowed:.1e}" if off > allowed else "which is too far from a tie"
            name = self._steps.name(site)
            self._unused = f"step {step}, {name}, element {index}: {value:.9g}, {own:.9g} here, {why}"


def _worst(bounds: SiteBounds, site: int, entries: Entries, found: Observation) -> tuple[float, int, float, float]:
    """Return the entry that is farthest from this machine's own value: by how much, index, own value, value."""
    own = found.values(bounds.sites[site]).reshape(-1).astype(np.float64)
    inside = entries.indices < own.size
    # In a loop that has fewer turns here, an entry may have no element to be compared with: none is less usable.
    if not inside.all():
        at = int(np.flatnonzero(~inside)[0])
        return float("inf"), int(entries.indices[at]), float("nan"), float(entries.values[at])
    off = np.abs(own[entries.indices] - entries.values.astype(np.float64))
    at = int(np.argmax(off))
    return float(off[at]), int(entries.indices[at]), float(own[entries.indices[at]]), float(entries.values[at])


def _put(near: Mapping[int, NearTies], step: int, side: int) -> dict[int, Entries]:
    """Return entries that put each near tie on a side, by the most that an entry may differ.

    Elements of the same place are put on the same one, since operands that are equal must stay so.
    """
    found = dict[int, Entries]()
    for site, each in near.items():
        # The step counts too, so that an element is not put on the same side in every step of a span.
        mixed = (each.indices.astype(np.uint64) + np.uint64(step)) * np.uint64(_MIX)
        sides = side * np.where(mixed >> np.uint64(63), 1, -1)
        moved = each.values.astype(np.float64) + sides * each.crossing * each.most
        if len(moved):
            found[site] = Entries(each.indices, moved.astype(each.values.dtype))
    return found


class _DecidedCompilation(Compilation):
    """This compilation uses entries, in each step its own."""

    _observe: Callable[[HostLeaves, StepInput, EntriesBySite], Observation]
    _used: Offered

    def __init__(self, plain: Compilation, steps: ObservedSteps, which: int, used: Offered) -> None:
        """Let a compilation use entries.

        Args:
            plain: the compilation.
            steps: the instrumented step.
            which: the compilation, by its place among the variants of ``steps``.
            used: entries by step.
        """
        super().__init__(plain.variant, plain.signature, plain.step, plain.alive)
        vars(self).update(_observe=partial(steps.observe, which), _used=used)  # it is frozen

    def execute(self, state: HostLeaves, inputs: Iterable[StepInput]) -> tuple[list[np.ndarray], list[Metrics]]:
        """Execute a step for each of ``inputs``, with its entries."""
        metrics, leaves = list[Metrics](), list(state)
        for each in inputs:
            self.alive()
            found = self._observe(leaves, each, self._used.get(each.step, {}))
            leaves = found.state
            metrics.append(found.metrics)
        return leaves, metrics


class _DecidedCompilations(Compilations):
    """These compilations use the same entries."""

    _steps: ObservedSteps

    def __init__(self, plain: Compilations, steps: ObservedSteps, used: Offered) -> None:
        """Let compilations use entries."""
        every = [_DecidedCompilation(each, steps, at, used) for at, each in enumerate(plain.every)]
        super().__init__(plain.spec, every[0], tuple(every[1:]), plain.refused)
        vars(self).update(_steps=steps)  # it is frozen

    def next_states(
        self, results: Sequence[HostLeaves], others: Sequence[HostLeaves], inputs: Iterable[StepInput]
    ) -> tuple[Sequence[HostLeaves], Sequence[HostLeaves]]:
        """Execute one more step, in which the reference's own near ties decide for all that are as near."""
        (given, *_), steps = inputs, self._steps
        own = [partial(steps.observe, 0, state, given) for state in results]
        # In the one more step there are no entries of the prover; the own near ties must not separate equal states.
        bounds = steps.calibrate(own)
        reference = own[0]({})
        decided = {
            site: Entries(each.indices, each.values)
            for site, each in bounds.near(reference.values).items()
            if len(each.indices)
        }

        def follow(state: HostLeaves) -> HostLeaves:
            execute = partial(steps.observe, 0, state, given)
            return steps.settle(execute, lambda found: bounds.within(decided, found.values))[1].state

        return [reference.state, *map(follow, results[1:])], [*map(follow, others)]

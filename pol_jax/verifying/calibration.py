"""Calibrated comparison: steps, or the initial state, are computed under every compilation that this machine has.

What the compilations differ in is the noise that section 14.1 of the protocol calibrates the tolerance by. What a
perturbed start changes is the reach: how far rounding may lead beyond that noise. The rules that judge these results
are in `pol_jax.judging.tolerance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np

from pol_jax.judging.leaf_distances import PERTURBED_PLACES, measure_leaf
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.judging.step_results import StepResults
from pol_jax.judging.tolerance import StepComparison, judge_step, with_metric
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import Compilations, Metrics
from pol_jax.verifying.one_more_step import stays_near
from pol_jax.verifying.perturbation import (
    NUDGES,
    PERTURBATIONS,
    nudge,
    perturb_by_update,
    perturb_last_places,
    shake,
    take_back,
)


def judge_span(
    compilations: Compilations,
    before: HostLeaves,
    after: HostLeaves | None,
    inputs: Iterable[StepInput],
    committed: Sequence[Metrics] | None = None,
) -> StepComparison:
    """Judge the steps between two committed states: a single one, or the fewest that have states at both ends.

    Args:
        compilations: of the proof's program; made once for all spans.
        before: leaves of the state before the first step.
        after: leaves of the state after the last one; None if they have the bits of the reference.
        inputs: of the steps, in order; at least one. Iterated once for each execution.
        committed: the metrics that the ledger has of these steps; None to compare states alone.

    Raises:
        BackendError: the program can't be executed here.
    """
    # All from the committed state: errors of earlier steps are judged with those steps, and do not add up here.
    executed = [each.execute(before, inputs) for each in compilations.every]
    reference, *others = own_states = [state for state, _ in executed]
    after = reference if after is None else after
    own = [metrics for _, metrics in executed]
    # Inputs of a proof are read anew at each iteration, so only the first step is read here.
    first_input = [each for each, _ in zip(inputs, range(1), strict=False)]
    perturbed = _execute_perturbed(compilations, before, inputs, first_input if len(own[0]) > 1 else None)
    nudged, scattered = (_nudged(compilations, before, inputs, places) for places in (1, PERTURBED_PLACES))

    results = StepResults(
        before=before,
        after=after,
        reference=reference,
        others=others,
        perturbed=perturbed.states,
        # Those that come after these are off by a share of an update, which says nothing of rounding.
        rounded=len(PERTURBATIONS),
        nudged=nudged,
        scattered=scattered,
    )
    judge = partial(judge_step, compilations.spec, noise_dominated=perturbed.noise_dominated)
    found = judge(results)
    # A shake only ever turns a failure into an open question, so it is not tried where nothing failed.
    if found.outcome is Outcome.FAILED:
        starts = [shake(compilations.spec, before, reference, *each) for each in PERTURBATIONS]
        with_shakes = [*perturbed.states, *(compilations.reference.run(start, inputs) for start in starts)]
        found = _unless_explained(found, judge(replace(results, perturbed=with_shakes)))
    exact = all(a.tobytes() == b.tobytes() for a, b in zip(after, reference, strict=True))
    if found.outcome is Outcome.PASSED and not exact:  # equal numbers may have other bits, such as the sign of a zero
        found = stays_near(found, compilations, after, own_states, first_input)
    if committed is None:
        return found
    loss = compilations.reference.signature.loss
    return _with_metrics(found, loss, committed, own, perturbed.metrics)


@dataclass(frozen=True)
class _Perturbed:
    """Perturbed results are what the reference makes of states before that are off by rounding.

    Attributes:
        states: after the steps, of a start that is off by last places first, `PERTURBATIONS` of them.
        metrics: of the same executions.
        noise_dominated: places of the leaves that the first of several steps moves by no more than rounding does; None
            for a single step, which tells of that itself.
    """

    states: Sequence[HostLeaves]
    metrics: Sequence[Sequence[Metrics]]
    noise_dominated: set[int] | None


def _execute_perturbed(
    compilations: Compilations, before: HostLeaves, inputs: Iterable[StepInput], first_input: Sequence[StepInput] | None
) -> _Perturbed:
    """Execute the steps from perturbed states; ``first_input`` is that of the first of several steps, or None."""
    starts = [perturb_last_places(compilations.spec, before, *each) for each in PERTURBATIONS]
    moved = [compilations.reference.execute(start, inputs) for start in starts]
    # A perturbation that simply persists is no amplification, so it is subtracted before distances are taken.
    states = [take_back(state, start, before) for (state, _), start in zip(moved, starts, strict=True)]
    noise_dominated = None
    # Over several steps errors grow, and how much is not seen from last places alone (section 14.1, "perturbed").
    if first_input is not None:
        first, *first_others = (each.run(before, first_input) for each in compilations.every)
        # By the first step alone, where noise is rounding; later it has grown, and would excuse any leaf (section
        # 14.1).
        noise_dominated = noise_dominated_leaves(compilations.spec, before, first, first_others)
        # In the first direction alone, both ways (section 14.1, reach).
        starts = [perturb_by_update(compilations.spec, before, first, *each) for each in PERTURBATIONS[:2]]
        # This perturbation is not taken back: how far it has grown after the steps is what is asked.
        moved += [compilations.reference.execute(start, inputs) for start in starts]
        states += [state for state, _ in moved[len(states) :]]
    return _Perturbed(states, [metrics for _, metrics in moved], noise_dominated)


def _nudged(
    compilations: Compilations, before: HostLeaves, inputs: Iterable[StepInput], places: int
) -> list[Sequence[np.ndarray]]:
    """Return what the reference makes of states that are off by last places, which a prover may have chosen."""
    starts = [nudge(compilations.spec, before, *each, places) for each in NUDGES]
    return [take_back(compilations.reference.run(start, inputs), start, before) for start in starts]


def _with_metrics(
    found: StepComparison,
    loss: str,
    committed: Sequence[Metrics],
    own: Sequence[Sequence[Metrics]],
    perturbed: Sequence[Sequence[Metrics]],
) -> StepComparison:
    """Add the ledger's metrics to a judgement on states, the loss first.

    Only the loss can make a step false. Others may count what comparisons decide, such as an accuracy, and a count that
    differs by one is no rounding error of anything.
    """
    for name in sorted(committed[0], key=lambda name: name != loss):
        values = [each[name] for each in committed]
        ours, theirs = ([[each[name] for each in steps] for steps in results] for results in (own, perturbed))
        found = with_metric(found, name, values, ours, theirs, may_fail=name == loss)
    return found


def _unless_explained(found: StepComparison, with_shakes: StepComparison) -> StepComparison:
    """Return the failure, unless a shaken start leads as far (`shake`). A shake lets nothing pass."""
    if with_shakes.outcome is Outcome.FAILED:
        return found
    why = "rounding may explain it: a state before that is off by its own rounding gives as large a difference"
    reasons = (why, *(with_shakes.reasons if with_shakes.outcome is Outcome.INCONCLUSIVE else found.reasons))
    return msgspec.structs.replace(found, outcome=Outcome.INCONCLUSIVE, reasons=reasons)


def noise_dominated_leaves(
    spec: StateSpec, before: HostLeaves, reference: HostLeaves, others: Sequence[HostLeaves]
) -> set[int]:
    """Return the places of the leaves that a single step moves by no more than rounding does.

    A leaf that the step leaves as it was is none of them: a later step may move it, as an optimizer does that sums the
    gradients of several steps.
    """
    results = StepResults(before=before, after=reference, reference=reference, others=others)
    found = {at: measure_leaf(leaf.dtype, results.leaf(at)) for at, leaf in enumerate(spec) if is_floating(leaf.dtype)}
    return {at for at, each in found.items() if each.infinitesimal and each.expected > 0}

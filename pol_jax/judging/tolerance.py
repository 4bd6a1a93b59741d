"""A committed step is compared with the step that this machine computes, within a tolerance that it calibrated itself.

These are the rules of section 14.1 of the protocol, for backends whose bits differ from the prover's. An honest step is
off by the rounding errors of two compilations, of which this machine has seen some (the noise); a forged one by about
its whole update. The way of a judgement:

1. each leaf is measured (`pol_jax.judging.leaf_distances`) and judged (`pol_jax.judging.leaf_judgement`), once;
2. all floating-point leaves are judged as one vector, so that many small errors can't add up unseen;
3. the metrics of the ledger are judged in the same way;
4. the worst outcome is that of the step, with the reasons of those that have it.

What passes is never far off: its error is at most the limit, whatever the noise. Where the noise leaves no room below
the limit, the answer is inconclusive.

Several steps in one go may be chaotic: a rounding error of the first step grows in those after it, beyond the noise
that this machine began with. How far, a **perturbed** start shows; for a single step it shows what rounding turns over,
such as the sign of a gradient. It only hinders a failure.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

import msgspec
import numpy as np

from pol_jax.judging.leaf_distances import Distances, total_distances
from pol_jax.judging.leaf_judgement import (
    LeafComparison,
    describe_numbers,
    is_beyond_rounding,
    is_within_tolerance,
    judge_leaf,
    judge_metric,
)
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.judging.step_results import StepResults
from pol_jax.protocol.distances import distance
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.outcomes import Outcome

MIN_OTHERS: Final = 2
"""Nothing is decided with fewer compilations beside the reference: two results may agree by chance."""


class StepComparison(msgspec.Struct, frozen=True):
    """A step comparison is the judgement on a step, or on the fewest steps between two committed states.

    Attributes:
        outcome: of the whole.
        reasons: why, one line each.
        total: the distances of all floating-point leaves as one vector.
        leaves: the judgement on each leaf, in the order of the specification.
        l1: distance between the committed state after and the reference, as in the protocol's section 12.2; NaN where
            one of them holds what has no distance.
        l2: likewise.
        linf: likewise.
        cosine: likewise.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    total: Distances
    leaves: tuple[LeafComparison, ...]
    l1: float
    l2: float
    linf: float
    cosine: float


def judge_step(
    spec: StateSpec, results: StepResults, *, noise_dominated: Container[int] | None = None, places: float = 1.0
) -> StepComparison:
    """Judge the states around a step.

    Args:
        spec: of the states.
        results: the committed states, and what this machine computes.
        noise_dominated: for more steps than one, places of the leaves that only rounding moves in the first step. No
            other leaf may be excused by the noise that several steps have grown. None for a single step.
        places: by how many units in the last place an element may be off, whatever the noise.
    """
    leaves = tuple(
        judge_leaf(leaf, results.leaf(at), may_be_noise=noise_dominated is None or at in noise_dominated, places=places)
        for at, leaf in enumerate(spec)
    )
    whole = total_distances([leaf.distances for leaf in leaves if leaf.distances is not None])
    has_floats = any(is_floating(leaf.dtype) and leaf.nbytes for leaf in spec)
    outcome, reasons = _conclude(_judge_total(whole) if has_floats else None, leaves, len(results.others))
    reference, after = results.reference, results.after
    l1, l2, linf = (distance(spec, reference, after, metric) for metric in ("l1", "l2", "linf"))
    return StepComparison(outcome, reasons, whole, leaves, l1, l2, linf, distance(spec, reference, after, "cosine"))


def with_metric(
    found: StepComparison,
    name: str,
    committed: Sequence[np.float32],
    own: Sequence[Sequence[np.float32]],
    perturbed: Sequence[Sequence[np.float32]] = (),
    *,
    may_fail: bool = True,
) -> StepComparison:
    """Add a metric of the ledger to a judgement on states: each value counts as a leaf of one number.

    Args:
        found: the judgement on the states.
        name: of the metric.
        committed: its value in each step.
        own: this machine's, the reference's first; each of as many steps.
        perturbed: the reference's from perturbed states; each of as many steps.
        may_fail: whether a value that no rounding explains makes the step false, and not only undecided.
    """
    for at, value in enumerate(committed):
        outcome, reason = judge_metric(value, [each[at] for each in own], [each[at] for each in perturbed])
        # A metric other than the loss may count what comparisons decide, such as an accuracy, so it never fails a step.
        if outcome is Outcome.FAILED and not may_fail:
            outcome = Outcome.INCONCLUSIVE
        if outcome is not Outcome.PASSED:
            worst = Outcome.FAILED if Outcome.FAILED in (outcome, found.outcome) else outcome
            reasons = (
                *(found.reasons if found.outcome is worst else ()),
                *((f"{name}: {reason}",) if outcome is worst else ()),
            )
            found = msgspec.structs.replace(found, outcome=worst, reasons=reasons)
    return found


def _judge_total(whole: Distances) -> tuple[Outcome, str]:
    """Judge all leaves as one vector. It must have an update: one that rounding could have made proves nothing."""
    if is_beyond_rounding(whole):
        return Outcome.FAILED, describe_numbers(whole)
    # Rule 1: two equal states would pass any distance, and show nothing about what happened between them.
    if whole.infinitesimal:
        return Outcome.INCONCLUSIVE, f"the update {whole.update:.1e} is not above the noise"
    return (Outcome.PASSED if is_within_tolerance(whole) else Outcome.INCONCLUSIVE), describe_numbers(whole)


def _conclude(
    whole: tuple[Outcome, str] | None, leaves: Sequence[LeafComparison], others: int
) -> tuple[Outcome, tuple[str, ...]]:
    """Return the outcome of a step, and the reasons of those parts that have it.

    Args:
        whole: the judgement on all floating-point leaves; None if there are none.
        leaves: the judgements on each.
        others: how many compilations there are beside the reference.
    """
    # Section 14.1: nothing is decided with fewer than two other compilations, not even a failure.
    if others < MIN_OTHERS:
        return Outcome.INCONCLUSIVE, (f"only {others} other compilations here; expected {MIN_OTHERS} or more",)
    outcome, reason = whole or (Outcome.PASSED, "no floating-point leaves")
    # No leaf excuses another, and a good total excuses none: the worst of all parts is the outcome.
    outcomes = {outcome, *(leaf.outcome for leaf in leaves)}
    if outcomes == {Outcome.PASSED}:
        return Outcome.PASSED, (reason,)
    worst = Outcome.FAILED if Outcome.FAILED in outcomes else Outcome.INCONCLUSIVE
    of_total = (f"all leaves: {reason}",) if outcome is worst else ()
    return worst, (*of_total, *(f"leaf {leaf.path or '/'}: {leaf.reason}" for leaf in leaves if leaf.outcome is worst))

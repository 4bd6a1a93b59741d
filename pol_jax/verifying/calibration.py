"""Calibrated comparison: steps, or the initial state, are computed under every compilation that this machine has.

What the compilations differ in is the noise that section 14.1 of the protocol calibrates the tolerance by. What a
perturbed start changes is the reach: how far rounding may lead beyond that noise. The rules that judge these results
are in `pol_jax.judging.tolerance`.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from typing import Final

import ml_dtypes
import msgspec
import numpy as np
from jaxtyping import UInt32

from pol_jax.errors import BackendError
from pol_jax.judging.leaf_distances import (
    FAILURE_FACTOR,
    LIMIT_SHARE,
    PERTURBED_PLACES,
    SAFETY_FACTOR,
    LeafResults,
    doubles,
    finite_distance,
    is_floating,
    measure_leaf,
)
from pol_jax.judging.leaf_judgement import describe_divergence
from pol_jax.judging.tolerance import StepComparison, judge_step, with_metric
from pol_jax.program.artifact import Program
from pol_jax.protocol.trees import LeafSpec, StateSpec
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import Compilations, Metrics, initial_state, variants

State = Sequence[np.ndarray]

_PERTURBATIONS: Final = ((0, 1), (0, -1), (1, 1), (1, -1))
"""Seeds and signs: each direction is tried both ways, since what turns over in one may stay in the other."""


_FINE: Final = ("float32", "float64")
"""The dtypes whose last places are far below any update."""


def judge_span(
    compilations: Compilations,
    before: State,
    after: State,
    inputs: Iterable[StepInput],
    committed: Sequence[Metrics] | None = None,
) -> StepComparison:
    """Judge the steps between two committed states: a single one, or the fewest that have states at both ends.

    Args:
        compilations: of the proof's program; made once for all spans.
        before: leaves of the state before the first step.
        after: leaves of the state after the last one.
        inputs: of the steps, in order; at least one. Iterated once for each execution.
        committed: the metrics that the ledger has of these steps; None to compare states alone.

    Raises:
        BackendError: the program can't be executed here.
    """
    executed = [each.execute(before, inputs) for each in compilations.every]
    reference, *others = results = [state for state, _ in executed]
    own = [metrics for _, metrics in executed]
    first_input = [each for each, _ in zip(inputs, range(1), strict=False)]
    noise_dominated = None
    starts = [_perturb_last_places(compilations.spec, before, *each) for each in _PERTURBATIONS]
    moved = [compilations.reference.execute(start, inputs) for start in starts]
    perturbed = [_take_back(state, start, before) for (state, _), start in zip(moved, starts, strict=True)]
    if len(own[0]) > 1:
        first, *first_others = (each.run(before, first_input) for each in compilations.every)
        noise_dominated = noise_dominated_leaves(compilations.spec, before, first, first_others)
        starts = [_perturb_by_update(compilations.spec, before, first, *each) for each in _PERTURBATIONS[:2]]
        moved += [compilations.reference.execute(start, inputs) for start in starts]
        perturbed += [state for state, _ in moved[len(perturbed) :]]

    def judge(perturbed: Sequence[State]) -> StepComparison:
        spec, rounded = compilations.spec, len(_PERTURBATIONS)
        return judge_step(before, after, reference, others, spec, perturbed, noise_dominated, rounded=rounded)

    found = judge(perturbed)
    if found.outcome is Outcome.FAILED:
        starts = [_shake(compilations.spec, before, reference, *each) for each in _PERTURBATIONS]
        shaken = [*perturbed, *(compilations.reference.run(start, inputs) for start in starts)]
        found = _unless_explained(found, judge(shaken))
    exact = all(a.tobytes() == b.tobytes() for a, b in zip(after, reference, strict=True))
    if found.outcome is Outcome.PASSED and not exact:  # equal numbers may have other bits, such as the sign of a zero
        found = stays_near(found, compilations, after, results, first_input)
    if committed is None:
        return found
    loss = compilations.reference.signature.loss
    return _with_metrics(found, loss, committed, own, [metrics for _, metrics in moved])


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


def _unless_explained(found: StepComparison, shaken: StepComparison) -> StepComparison:
    """A failure, unless a shaken start may lead as far (`_shake`). A shake lets nothing pass."""
    if shaken.outcome is Outcome.FAILED:
        return found
    why = "a state before that is off by its rounding leads as far; rounding may decide here"
    reasons = (why, *(shaken.reasons if shaken.outcome is Outcome.INCONCLUSIVE else found.reasons))
    return msgspec.structs.replace(found, outcome=Outcome.INCONCLUSIVE, reasons=reasons)


def stays_near(
    found: StepComparison,
    compilations: Compilations,
    after: State,
    results: Sequence[State],
    inputs: Iterable[StepInput],
) -> StepComparison:
    """Judge one more step from a committed state that passes, and from this machine's own results.

    A forger can hide an error that is tiny in its own step and that the next one makes large: an optimizer divides a
    moment by the root of another one, which may be nearly zero. Rounding errors stay as near as they were.

    Args:
        found: the judgement, which passes.
        compilations: of the proof's program.
        after: leaves of the committed state after the step.
        results: this machine's own, the reference's first.
        inputs: of the step that is tried; those of any step will do.

    Returns:
        ``found``, or the same without a decision.
    """
    spec = compilations.spec
    starts = [_perturb_last_places(spec, results[0], *each) for each in _PERTURBATIONS]
    (reference, *others), (committed, *moved) = compilations.next_states(results, [after, *starts], inputs)
    perturbed = [_take_back(state, start, results[0]) for state, start in zip(moved, starts, strict=True)]
    diverging = {
        leaf.path: describe_divergence(
            leaf,
            LeafResults(
                after[at],
                committed[at],
                reference[at],
                [other[at] for other in others],
                [each[at] for each in perturbed],
                len(perturbed),
            ),
        )
        for at, leaf in enumerate(spec)
    }
    reasons = [f"one more step leads elsewhere: leaf {path or '/'}: {why}" for path, why in diverging.items() if why]
    return msgspec.structs.replace(found, outcome=Outcome.INCONCLUSIVE, reasons=tuple(reasons)) if reasons else found


def judge_initial_state(
    program: Program,
    key: UInt32[np.ndarray, " words"],
    after: State,
    taken: Container[int] = (),
) -> StepComparison:
    """Judge an initial state as a step from zeros to it.

    Args:
        program: with the ``init`` that is to give it.
        key: key data of step 0.
        after: leaves of the committed initial state.
        taken: places of the leaves that were taken over, not derived: another check compares their digest.

    Raises:
        BackendError: the program can't be executed here.
    """
    first, *rest = variants()
    reference, others = initial_state(program, key, first), list[list[np.ndarray]]()
    for variant in rest:
        with suppress(BackendError):  # the compiler refuses an option
            others.append(initial_state(program, key, variant))
    places = [at for at in range(len(after)) if at not in taken]
    spec = tuple(program.signature.state[at] for at in places)
    after, reference, *others = ([state[at] for at in places] for state in (after, reference, *others))
    # What draws an initial state is a function of the key alone: another library may be off by a few last places in it.
    return judge_step([np.zeros_like(leaf) for leaf in after], after, reference, others, spec, places=SAFETY_FACTOR)


def noise_dominated_leaves(spec: StateSpec, before: State, reference: State, others: Sequence[State]) -> set[int]:
    """Places of the leaves that a single step moves by no more than rounding does.

    A leaf that the step leaves as it was is none of them: a later step may move it, as an optimizer does that sums the
    gradients of several steps.
    """
    found = {
        at: measure_leaf(
            leaf.dtype, LeafResults(before[at], reference[at], reference[at], [other[at] for other in others])
        )
        for at, leaf in enumerate(spec)
        if is_floating(leaf.dtype)
    }
    return {at for at, each in found.items() if each.infinitesimal and each.expected > 0}


def _take_back(moved: State, start: State, before: State) -> list[np.ndarray]:
    """What is left of a perturbed start after the steps, when the perturbation itself is taken back.

    That is what the steps made of it: more than rounding only where something turned over.

    Args:
        moved: the state after the steps from ``start``.
        start: the perturbed state.
        before: the state that was perturbed.
    """
    return [
        leaf
        if a is b
        else np.asarray(doubles(leaf).reshape(leaf.shape) - (a.astype(np.float64) - b.astype(np.float64)))
        for leaf, a, b in zip(moved, start, before, strict=True)
    ]


def _perturb_last_places(spec: StateSpec, before: State, seed: int, sign: int) -> list[np.ndarray]:
    """A state whose float32 and float64 are off by `PERTURBED_PLACES` units in the last place, up or down.

    A step that takes the sign of a gradient, or compares, may turn over by that where no compilation here does. Zeros
    stay, since their last place is none.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    return [
        _perturb_leaf(leaf, draw, sign) if described.dtype in _FINE else leaf
        for described, leaf in zip(spec, before, strict=True)
    ]


def _perturb_leaf(leaf: np.ndarray, draw: np.random.Generator, sign: int) -> np.ndarray:
    units = sign * np.where(draw.random(leaf.shape) < 0.5, PERTURBED_PLACES, -PERTURBED_PLACES)
    return np.asarray(leaf + units.astype(leaf.dtype) * np.finfo(leaf.dtype).eps * leaf)


def _perturb_by_update(spec: StateSpec, before: State, first: State, seed: int, sign: int) -> list[np.ndarray]:
    """A state that is off by as much as the first step could be without failing: `FAILURE_FACTOR` limits of its update.

    Args:
        spec: of the states.
        before: the state to perturb.
        first: the state after the first step; each leaf is perturbed in proportion to its first update.
        seed: of the direction.
        sign: 1, or -1 for the opposite direction.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    return [
        _move_leaf(leaf, sign * FAILURE_FACTOR * LIMIT_SHARE * finite_distance(leaf, moved), draw)
        if _is_real(described)
        else leaf
        for described, leaf, moved in zip(spec, before, first, strict=True)
    ]


def _shake(spec: StateSpec, before: State, reference: State, seed: int, sign: int) -> list[np.ndarray]:
    """A state whose float32 and float64 are off by a last place of their leaf's typical update, those that are 0 too.

    A gradient that is nearly 0 is the rest of larger terms: it has their rounding, whatever its own size. An optimizer
    that divides by the root of its square makes a whole step of it, up or down. A perturbation of an element by its own
    last places (`_perturb_last_places`) doesn't show that, least of all for moments that are still 0.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    return [
        _shake_leaf(leaf, result, np.asarray(sign * np.where(draw.random(leaf.shape) < 0.5, 1.0, -1.0)))
        if described.dtype in _FINE and leaf.size
        else leaf
        for described, leaf, result in zip(spec, before, reference, strict=True)
    ]


def _shake_leaf(leaf: np.ndarray, result: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Move each element; no element changes its sign, and none becomes negative where there are no negative ones."""
    place = float(ml_dtypes.finfo(leaf.dtype).eps) * finite_distance(leaf, result) / math.sqrt(leaf.size)  # type: ignore[no-untyped-call]
    if not (place and math.isfinite(place)):
        return leaf
    wide, some_negative = leaf.astype(np.float64), bool((leaf < 0).any() or (result < 0).any())
    from_zero = signs if some_negative else np.maximum(signs, 0)
    moved = (wide + place * np.where(wide == 0, from_zero, signs)).astype(leaf.dtype)
    return np.where((np.sign(moved) == np.sign(leaf)) | (leaf == 0), moved, leaf)


def _is_real(leaf: LeafSpec) -> bool:
    return is_floating(leaf.dtype) and not leaf.dtype.startswith("complex")


def _move_leaf(leaf: np.ndarray, distance: float, draw: np.random.Generator) -> np.ndarray:
    """A leaf at a distance, but for the elements that would change their sign.

    Adam takes the root of a mean of squares: below zero, it would give NaN and show nothing.
    """
    direction = draw.standard_normal(leaf.shape)
    norm = float(np.linalg.norm(direction.ravel()))
    if not (norm and np.isfinite(distance)):
        return leaf
    with np.errstate(all="ignore"):
        moved = (leaf.astype(np.float64) + direction * (distance / norm)).astype(leaf.dtype)
    return np.where(np.sign(moved) == np.sign(leaf), moved, leaf)

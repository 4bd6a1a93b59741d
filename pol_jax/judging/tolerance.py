"""Whether a committed step is the step that this machine computes, within a tolerance that it calibrated itself.

For backends whose bits differ from the prover's. An honest step is off by the rounding errors of two compilations, of
which this machine has seen some (the noise); a forged one by about its whole update. Rules without IO.

What passes is never far off: an error is at most the limit, `pol_jax.judging.leaf_distances.SMALL` of the update,
whatever the noise. Where the noise leaves no room below the limit, the answer is inconclusive.

Several steps in one go may be chaotic: what another backend is off in the first of them grows in those behind it, from
more than this machine's noise began with. How far, a **shaken** start shows; and of a single step, what rounding
turns over, such as the sign of a gradient. It only hinders a failure.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

import msgspec
import numpy as np

from pol_jax.judging.leaf_distances import FALSE, SAFETY, Distances, Measured, is_floating, measure, same_outside, total
from pol_jax.protocol.distances import distance
from pol_jax.protocol.trees import LeafSpec, StateSpec
from pol_jax.reports.report import Outcome

MIN_OTHERS: Final = 2
"""Compilations beside the reference without which nothing is decided: one pair may agree by chance."""

Leaves = Sequence[np.ndarray]


class LeafComparison(msgspec.Struct, frozen=True):
    """One leaf of a step.

    Attributes:
        path: JSON pointer.
        outcome: of this leaf.
        reason: why, in words.
        distances: None for a leaf that is compared exactly.
    """

    path: str
    outcome: Outcome
    reason: str
    distances: Distances | None


class StepComparison(msgspec.Struct, frozen=True):
    """A step, or the shortest stretch of steps between two committed states.

    Attributes:
        outcome: of the whole.
        reasons: why, one line each.
        total: all floating-point leaves as one vector.
        leaves: each leaf, in the order of the specification.
        l1: distance between the committed state after and this machine's result, as in the protocol's section 12.2;
            NaN where one of them holds what has no distance.
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


def compare(
    before: Leaves,
    after: Leaves,
    reference: Leaves,
    others: Sequence[Leaves],
    spec: StateSpec,
    shaken: Leaves | None = None,
    drowned: Container[int] | None = None,
) -> StepComparison:
    """Judge a step.

    Args:
        before: the committed state before the step.
        after: the committed state after it.
        reference: this machine's result of the step from ``before``.
        others: its results under other compilations; their order doesn't matter.
        spec: of the states; all of them have its shapes and dtypes.
        shaken: this machine's result from a shaken state (`pol_jax.verifying.calibration`), if that was tried.
        drowned: places of the leaves that rounding alone moves in the first step, for more steps than one: no others
            may drown in the noise that these steps have grown.
    """
    leaves, floats = list[LeafComparison](), list[Measured]()
    for at, leaf in enumerate(spec):
        own = [reference[at], *(other[at] for other in others)]
        if is_floating(leaf.dtype):
            moved = None if shaken is None else shaken[at]
            floats.append(measure(leaf.dtype, before[at], after[at], own[0], own[1:], moved))
            drowns = drowned is None or at in drowned
            leaves.append(_compare_floats(leaf, floats[-1].distances(), after[at], own, moved, drowns))
        else:
            leaves.append(_compare_exactly(leaf, after[at], own, shaken[at] if shaken else own[0]))
    whole = total(floats).distances()
    outcome, reasons = _judge(whole, leaves, len(others), any(is_floating(leaf.dtype) and leaf.nbytes for leaf in spec))
    l1, l2, linf = (distance(spec, reference, after, metric) for metric in ("l1", "l2", "linf"))
    return StepComparison(
        outcome, reasons, whole, tuple(leaves), l1, l2, linf, distance(spec, reference, after, "cosine")
    )


def with_losses(
    found: StepComparison,
    committed: Sequence[np.float32],
    own: Sequence[Sequence[np.float32]],
    shaken: Sequence[np.float32] | None = None,
) -> StepComparison:
    """A comparison of states, and of the losses that the ledger has of the steps between: each as a leaf of one number.

    Args:
        found: of the states.
        committed: the loss of each step.
        own: this machine's, the reference's first; each of as many steps.
        shaken: those from a shaken state.
    """
    for committed_loss, moved, *mine in zip(committed, shaken or own[0], *own, strict=True):
        outcome, reason = _compare_loss(committed_loss, mine, moved)
        if outcome is not Outcome.PASSED:
            worst = Outcome.FAILED if Outcome.FAILED in (outcome, found.outcome) else outcome
            kept = found.reasons if found.outcome is worst else ()
            mine_too = (reason,) if outcome is worst else ()
            found = msgspec.structs.replace(found, outcome=worst, reasons=(*kept, *mine_too))
    return found


def _compare_loss(committed: np.float32, own: Sequence[np.float32], moved: np.float32) -> tuple[Outcome, str]:
    """A loss is an update from nothing."""
    after, shaken, *mine = (np.array([loss]) for loss in (committed, moved, *own))
    if not all(same_outside(mine[0], other) for other in mine[1:]):
        return Outcome.INCONCLUSIVE, "loss: NaN or infinity, but not always here"
    if not same_outside(mine[0], after):
        certain = same_outside(mine[0], shaken)
        return _failed_if(certain), "loss: NaN or infinity, or not, otherwise than here"
    numbers = measure("float32", np.zeros(1, np.float32), after, mine[0], mine[1:], shaken).distances()
    if numbers.error <= numbers.tolerance:
        return Outcome.PASSED, ""
    return _failed_if(_false(numbers)), f"loss: {_numbers(numbers)}"


def _judge(
    whole: Distances, leaves: Sequence[LeafComparison], others: int, has_floats: bool
) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome of a step from those of its leaves and their total."""
    if others < MIN_OTHERS:
        return Outcome.INCONCLUSIVE, (f"only {others} other compilations here; expected {MIN_OTHERS} or more",)
    outcome, reason = _judge_total(whole) if has_floats else (Outcome.PASSED, "no floating-point leaves")
    outcomes = [outcome, *(leaf.outcome for leaf in leaves)]
    if set(outcomes) == {Outcome.PASSED}:
        return Outcome.PASSED, (reason,)
    worst = Outcome.FAILED if Outcome.FAILED in outcomes else Outcome.INCONCLUSIVE
    mine = (f"all leaves: {reason}",) if outcome is worst else ()
    return worst, (*mine, *(f"leaf {leaf.path or '/'}: {leaf.reason}" for leaf in leaves if leaf.outcome is worst))


def _judge_total(whole: Distances) -> tuple[Outcome, str]:
    """An update that can't be told from rounding proves nothing. An error beyond everything is no rounding."""
    if _false(whole):
        return Outcome.FAILED, _numbers(whole)
    if whole.infinitesimal:
        return Outcome.INCONCLUSIVE, f"the update {whole.update:.1e} is not above the noise"
    return (Outcome.PASSED if _within(whole) else Outcome.INCONCLUSIVE), _numbers(whole)


def _compare_floats(
    leaf: LeafSpec, found: Distances, after: np.ndarray, own: Leaves, shaken: np.ndarray | None, drowns: bool
) -> LeafComparison:
    """A leaf of rounded values.

    NaN and infinities have no distance. Where all compilations here agree on them, the committed state has the same:
    rounding moves a value over the edge of a dtype only where a training is lost anyway, or chaotic.
    """
    if not all(same_outside(own[0], other) for other in own[1:]):
        return LeafComparison(leaf.path, Outcome.INCONCLUSIVE, "NaN or infinity, but not always here", found)
    if not same_outside(own[0], after):
        certain = shaken is None or same_outside(own[0], shaken)
        return LeafComparison(leaf.path, _failed_if(certain), "NaN or infinity at other places than here", found)
    return LeafComparison(leaf.path, _judge_leaf(found, drowns), _numbers(found), found)


def _judge_leaf(found: Distances, drowns: bool) -> Outcome:
    """A leaf fails by itself only where its own noise leaves no doubt.

    One that no compilation here changes at all, like a frozen parameter, has no noise: it must stay within the floor.
    One whose update is not above its noise can't be judged, and needn't be: both results are within the noise of the
    state before, so that nothing is hidden in it. It doesn't hinder the others. That is so where rounding makes the
    noise, and not where several steps have grown it to the size of their update. Nor does one hinder
    that has the reference's bits.
    """
    drowned = found.infinitesimal and (drowns or _is_rounding(found))
    if drowned or _within(found) or found.error == 0:
        return Outcome.PASSED
    if found.expected == 0 and found.noise == 0:
        return Outcome.PASSED if found.error <= found.tolerance else Outcome.FAILED
    certain = found.tolerance <= found.limit and _false(found)
    return _failed_if(certain)


def _compare_exactly(leaf: LeafSpec, after: np.ndarray, own: Leaves, shaken: np.ndarray) -> LeafComparison:
    """A leaf of integers, bools or PRNG keys: no rounding, so no tolerance."""
    if not all(np.array_equal(own[0], other) for other in own[1:]):  # decided by rounded values
        return LeafComparison(leaf.path, Outcome.INCONCLUSIVE, "differs between compilations here", None)
    if np.array_equal(own[0], after):
        return LeafComparison(leaf.path, Outcome.PASSED, "equal", None)
    certain = np.array_equal(own[0], shaken)
    return LeafComparison(leaf.path, _failed_if(certain), "differs; has no rounding", None)


def _failed_if(certain: bool) -> Outcome:
    """What does not pass fails only where no rounding is known that would do the same."""
    return Outcome.FAILED if certain else Outcome.INCONCLUSIVE


def _is_rounding(found: Distances) -> bool:
    """Whether the floor, one unit in the last place, is above the noise."""
    return SAFETY * found.noise < found.tolerance or found.tolerance == 0


def _within(found: Distances) -> bool:
    """The only way to pass with other bits: the error within the tolerance, and that within the limit; both finite."""
    return found.error <= found.tolerance <= found.limit < float("inf")


def _false(found: Distances) -> bool:
    """Beyond all that rounding is known to do."""
    return found.error > max(found.tolerance, FALSE * found.limit, found.reach)


def _numbers(found: Distances) -> str:
    limit = f"limit {found.limit:.1e}, update {found.update:.1e}"
    return f"error {found.error:.1e}, tolerance {found.tolerance:.1e}, {limit}"

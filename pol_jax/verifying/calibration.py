"""Calibrated comparison: steps, or the initial state, under every compilation that this machine has."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from typing import Final

import numpy as np
from jaxtyping import UInt32

from pol_jax.errors import BackendError
from pol_jax.judging.leaf_distances import FALSE, SMALL, apart, doubles, is_floating, measure
from pol_jax.judging.tolerance import StepComparison, compare, with_losses
from pol_jax.program.artifact import Program
from pol_jax.protocol.trees import StateSpec
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import Compilations, initial_state, variants

State = Sequence[np.ndarray]

_SHAKE_SEED: Final = 0

_NUDGE: Final = 256
"""Units in the last place: so many that some element turns over if any may; 3e-5 of a float32, far below any update."""


def judge_stretch(
    compilations: Compilations,
    before: State,
    after: State,
    inputs: Iterable[StepInput],
    losses: Sequence[np.float32] | None = None,
) -> StepComparison:
    """Judge the steps between two committed states: one, or the fewest that there are states around.

    Args:
        compilations: of the proof's program; made once for all stretches.
        before: leaves of the state before the first step.
        after: leaves of the state after the last one.
        inputs: of the steps, in order; at least one. Iterated once for each execution.
        losses: that the ledger has of these steps; None to compare states alone.

    Raises:
        BackendError: the program can't be executed here.
    """
    executed = [each.execute(before, inputs) for each in (compilations.reference, *compilations.others)]
    reference, *others = (state for state, _ in executed)
    drowned = None
    if len(executed[0][1]) == 1:
        start = _nudge(compilations.spec, before)
    else:
        once = [each for each, _ in zip(inputs, range(1), strict=False)]
        first, *first_others = (each.run(before, once) for each in (compilations.reference, *compilations.others))
        drowned = _drowned(compilations.spec, before, first, first_others)
        start = _shake(compilations.spec, before, first)
    shaken, shaken_losses = compilations.reference.execute(start, inputs)
    if len(executed[0][1]) == 1:
        shaken = [
            doubles(leaf).reshape(leaf.shape) - (a.astype(np.float64) - b.astype(np.float64)) if a is not b else leaf
            for leaf, a, b in zip(shaken, start, before, strict=True)
        ]
    found = compare(before, after, reference, others, compilations.spec, shaken, drowned)
    return found if losses is None else with_losses(found, losses, [mine for _, mine in executed], shaken_losses)


def judge_initial(
    program: Program,
    key: UInt32[np.ndarray, " words"],
    after: State,
    given: Container[int] = (),
) -> StepComparison:
    """Judge an initial state as the step from nothing to it.

    Args:
        program: with the ``init`` that is to give it.
        key: key data of step 0.
        after: leaves of the committed initial state.
        given: places of the leaves that were taken over, not derived: another check compares their digest.

    Raises:
        BackendError: the program can't be executed here.
    """
    first, *rest = variants()
    reference, others = initial_state(program, key, first), list[list[np.ndarray]]()
    for variant in rest:
        with suppress(BackendError):  # the compiler refuses an option
            others.append(initial_state(program, key, variant))
    places = [at for at in range(len(after)) if at not in given]
    spec = tuple(program.signature.state[at] for at in places)
    after, reference, *others = ([state[at] for at in places] for state in (after, reference, *others))
    return compare([np.zeros_like(leaf) for leaf in after], after, reference, others, spec)


def _drowned(spec: StateSpec, before: State, reference: State, others: Sequence[State]) -> set[int]:
    """Places of the leaves that a single step moves, but not by more than rounding does.

    One that it leaves as it was is none of them: what moves it, some later step may do.
    """
    found = {
        at: measure(leaf.dtype, before[at], reference[at], reference[at], [other[at] for other in others]).distances()
        for at, leaf in enumerate(spec)
        if is_floating(leaf.dtype)
    }
    return {at for at, each in found.items() if each.infinitesimal and each.expected > 0}


def _nudge(spec: StateSpec, before: State) -> list[np.ndarray]:
    """A state whose float32 and float64 are off by `_NUDGE` units in the last place, up or down, but for zeros.

    A step that takes the sign of a gradient, or compares, may turn over by that where no compilation here does.
    """
    draw = np.random.Generator(np.random.PCG64(_SHAKE_SEED))
    return [
        _nudged(leaf, draw) if of.dtype in ("float32", "float64") else leaf
        for of, leaf in zip(spec, before, strict=True)
    ]


def _nudged(leaf: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    units = np.where(draw.random(leaf.shape) < 0.5, _NUDGE, -_NUDGE).astype(leaf.dtype)
    moved: np.ndarray = leaf + units * np.finfo(leaf.dtype).eps * leaf
    return moved


def _shake(spec: StateSpec, before: State, moved: State) -> list[np.ndarray]:
    """A state that is off by as much as a single step could be without being called false: `FALSE` limits of it.

    In a direction that everyone shakes it in, leaf by leaf, in proportion to the leaf's first update: to ``moved``. No
    element changes its sign: the root of a mean of squares below zero, as Adam takes it, would lose all.
    """
    draw = np.random.Generator(np.random.PCG64(_SHAKE_SEED))
    return [
        _off_by(leaf, FALSE * SMALL * apart((of,), (leaf,), (there,)), draw)
        if is_floating(of.dtype) and not of.dtype.startswith("complex")
        else leaf
        for of, leaf, there in zip(spec, before, moved, strict=True)
    ]


def _off_by(leaf: np.ndarray, distance: float, draw: np.random.Generator) -> np.ndarray:
    direction = draw.standard_normal(leaf.shape)
    norm = float(np.linalg.norm(direction.ravel()))
    if not (norm and np.isfinite(distance)):
        return leaf
    with np.errstate(all="ignore"):
        moved = (leaf.astype(np.float64) + direction * (distance / norm)).astype(leaf.dtype)
    return np.where(np.sign(moved) == np.sign(leaf), moved, leaf)

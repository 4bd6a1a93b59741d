"""Calibrated comparison: steps, or the initial state, under every compilation that this machine has."""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import suppress

import numpy as np
from jaxtyping import UInt32

from pol_jax.errors import BackendError
from pol_jax.inputs import StepInput
from pol_jax.program import Program
from pol_jax.tolerance import StepComparison, compare, with_losses
from pol_jax.variants import Compilations, initial_state, variants


def judge_stretch(
    compilations: Compilations,
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    inputs: Sequence[StepInput],
    losses: Sequence[np.float32] | None = None,
) -> StepComparison:
    """Judge the steps between two committed states: one, or the fewest that the ledger has states around.

    Args:
        compilations: of the proof's program; made once for all stretches.
        before: leaves of the state before the first step.
        after: leaves of the state after the last one.
        inputs: of the steps, in order; at least one.
        losses: that the ledger has of these steps; None to compare states alone.

    Raises:
        BackendError: the program can't be executed here.
    """
    executed = [each.execute(before, inputs) for each in (compilations.reference, *compilations.others)]
    reference, *others = (state for state, _ in executed)
    found = compare(before, after, reference, others, compilations.spec)
    return found if losses is None else with_losses(found, losses, [mine for _, mine in executed])


def judge_initial(
    program: Program,
    key: UInt32[np.ndarray, " words"],
    after: Sequence[np.ndarray],
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

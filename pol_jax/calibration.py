"""Calibrated comparison of a stretch: its steps under every compilation that this machine has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pol_jax.inputs import StepInput
from pol_jax.tolerance import StepComparison, compare
from pol_jax.variants import Compilations


def judge_stretch(
    compilations: Compilations, before: Sequence[np.ndarray], after: Sequence[np.ndarray], inputs: Sequence[StepInput]
) -> StepComparison:
    """Judge the steps between two committed states: one, or the fewest that the ledger has states around.

    Args:
        compilations: of the proof's program; made once for all stretches.
        before: leaves of the state before the first step.
        after: leaves of the state after the last one.
        inputs: of the steps, in order; at least one.

    Raises:
        BackendError: the program can't be executed here.
    """
    reference, *others = (each.run(before, inputs) for each in (compilations.reference, *compilations.others))
    return compare(before, after, reference, others, compilations.spec)

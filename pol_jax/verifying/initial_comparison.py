"""The initial state is compared as a step from zeros to it (section 14.1 of the protocol)."""

from __future__ import annotations

from collections.abc import Container
from contextlib import suppress

import numpy as np
from jaxtyping import UInt32

from pol_jax.errors import BackendError
from pol_jax.judging.leaf_distances import SAFETY_FACTOR
from pol_jax.judging.step_results import StepResults
from pol_jax.judging.tolerance import StepComparison, judge_step
from pol_jax.program.artifact import Program
from pol_jax.protocol.trees import HostLeaves
from pol_jax.verifying.compilations import initial_state, variants


def judge_initial_state(
    program: Program,
    key: UInt32[np.ndarray, " words"],
    after: HostLeaves,
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
    # Every compilation draws from the same key, so all that differs between their results is rounding.
    first, *rest = variants()
    reference, others = initial_state(program, key, first), list[list[np.ndarray]]()
    for variant in rest:
        # With too few of them the judgement is inconclusive, and says so (`pol_jax.judging.tolerance`).
        with suppress(BackendError):  # the compiler refuses an option
            others.append(initial_state(program, key, variant))
    places = [at for at in range(len(after)) if at not in taken]
    spec = tuple(program.signature.state[at] for at in places)
    after, reference, *others = ([state[at] for at in places] for state in (after, reference, *others))
    # What draws an initial state is a function of the key alone: another library may be off by a few last places in it.
    before = [np.zeros_like(leaf) for leaf in after]
    results = StepResults(before=before, after=after, reference=reference, others=others)
    return judge_step(spec, results, places=SAFETY_FACTOR)

"""One more step from a committed state must stay as near to this machine's own as the step before (section 14.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from pol_jax.judging.leaf_judgement import describe_divergence
from pol_jax.judging.step_results import StepResults
from pol_jax.judging.tolerance import StepComparison
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import Compilations
from pol_jax.verifying.perturbation import PERTURBATIONS, perturb_last_places, take_back


def stays_near(
    found: StepComparison,
    compilations: Compilations,
    after: HostLeaves,
    results: Sequence[HostLeaves],
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
    starts = [perturb_last_places(spec, results[0], *each) for each in PERTURBATIONS]
    # All under the reference compilation: what differs now comes from the states, not from another compilation.
    (reference, *others), (committed, *moved) = compilations.next_states(results, [after, *starts], inputs)
    perturbed = [take_back(state, start, results[0]) for state, start in zip(moved, starts, strict=True)]
    tried = StepResults(
        before=after,
        after=committed,
        reference=reference,
        others=others,
        perturbed=perturbed,
        rounded=len(perturbed),
    )
    diverging = {leaf.path: describe_divergence(leaf, tried.leaf(at)) for at, leaf in enumerate(spec)}
    # Open and never false: the error itself passed, and a chaotic program may make much of rounding as well.
    reasons = [
        f"one more step gives different results: leaf {path or '/'}: {why}" for path, why in diverging.items() if why
    ]
    return msgspec.structs.replace(found, outcome=Outcome.INCONCLUSIVE, reasons=tuple(reasons)) if reasons else found

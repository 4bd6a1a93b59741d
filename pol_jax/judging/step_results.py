"""The results for a step, leaf by leaf: the committed states around it, and what this machine computes between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pol_jax.judging.leaf_results import LeafResults
from pol_jax.protocol.trees import HostLeaves


# By keyword alone: all of these are states of one form, so that two of them in each other's place would not be noticed.
@dataclass(frozen=True, kw_only=True)
class StepResults:
    """Step results are the committed states around a step, and what this machine computes from the one before.

    A step stands here also for the fewest steps between two committed states. All states have the shapes and dtypes of
    one specification.

    Attributes:
        before: the committed state before the step.
        after: the committed state after it.
        reference: what this machine's usual compilation gives from ``before``.
        others: what its other compilations give; their order doesn't matter.
        perturbed: the reference from perturbed states (`pol_jax.verifying.calibration`); empty if that was not tried.
        rounded: how many of the perturbed states, from the first on, were off by `PERTURBED_PLACES` last places.
        nudged: the reference from states that were off by one last place.
        scattered: the reference from states that were off by 1 to `PERTURBED_PLACES` last places.
    """

    before: HostLeaves
    after: HostLeaves
    reference: HostLeaves
    others: Sequence[HostLeaves]
    perturbed: Sequence[HostLeaves] = ()
    rounded: int = 0
    nudged: Sequence[HostLeaves] = ()
    scattered: Sequence[HostLeaves] = ()

    def leaf(self, at: int) -> LeafResults:
        """Return the results for the leaf at a place of the specification."""
        return LeafResults(
            before=self.before[at],
            after=self.after[at],
            reference=self.reference[at],
            others=[each[at] for each in self.others],
            perturbed=[each[at] for each in self.perturbed],
            rounded=self.rounded,
            nudged=[each[at] for each in self.nudged],
            scattered=[each[at] for each in self.scattered],
        )

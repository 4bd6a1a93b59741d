"""The results for one leaf of a step: what the prover committed to, and what this machine computes, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pol_jax.judging.leaf_numbers import bits_of, doubles


# By keyword alone, as in `pol_jax.judging.step_results`: these are arrays of one form.
@dataclass(frozen=True, kw_only=True)
class LeafResults:
    """Leaf results are what is committed to for one leaf of a step, and what this machine computes.

    Attributes:
        before: the committed leaf before the step.
        after: the committed leaf after it.
        reference: what this machine's usual compilation gives from ``before``.
        others: what its other compilations give; their order doesn't matter.
        perturbed: what the reference gives from perturbed states; empty if that was not tried.
        rounded: how many of these, from the first on, are from states that were off by `PERTURBED_PLACES` units in the
            last place: what one unit does is noise.
        nudged: what the reference gives from states each element of which was off by one unit in the last place.
        scattered: what it gives from states whose elements were off by 1 to `PERTURBED_PLACES` units, each by another
            power of two.
    """

    before: np.ndarray
    after: np.ndarray
    reference: np.ndarray
    others: Sequence[np.ndarray]
    perturbed: Sequence[np.ndarray] = ()
    rounded: int = 0
    nudged: Sequence[np.ndarray] = ()
    scattered: Sequence[np.ndarray] = ()

    @property
    def is_exact(self) -> bool:
        """Return whether the committed leaf has the bits of one of this machine's results.

        Equal numbers may have other bits: a zero has a sign, and a NaN a payload.
        """
        return any(self.after.tobytes() == each.tobytes() for each in (self.reference, *self.others))

    @property
    def is_unmoved(self) -> bool:
        """Return whether no compilation here changes a number of the leaf."""
        before = doubles(self.before)
        return all(np.array_equal(before, doubles(own), equal_nan=True) for own in (self.reference, *self.others))


def odd_nans(leaf: LeafResults) -> int:
    """Count the NaNs of the committed leaf whose bits none of this machine's results has at their places.

    A NaN has no distance to another one, and more bits than a model needs.
    """
    after = bits_of(leaf.after)
    # Of any compilation: which payload a NaN has may depend on how it was compiled.
    known = np.logical_or.reduce([after == bits_of(each) for each in (leaf.reference, *leaf.others)])
    return int(np.count_nonzero(np.isnan(doubles(leaf.after)) & ~known))


def odd_zeros(leaf: LeafResults) -> int:
    """Count the zeros of the committed leaf whose sign none of this machine's results has, where all have a zero.

    Two zeros have no distance, and a program may make any difference of their signs: in the next step, or in one whose
    records ask for it.
    """
    after, own = doubles(leaf.after), [doubles(each) for each in (leaf.reference, *leaf.others)]
    everywhere = np.logical_and.reduce([each == 0 for each in (after, *own)])
    known = np.logical_or.reduce([np.signbit(after) == np.signbit(each) for each in own])
    return int(np.count_nonzero(everywhere & ~known))

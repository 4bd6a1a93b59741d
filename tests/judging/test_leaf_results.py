"""The results for one leaf: which bits this machine knows, and which NaNs and zeros only the prover has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_steps import INCONCLUSIVE, PASSED, made, with_leaf

from pol_jax.judging.leaf_results import LeafResults, odd_nans, odd_zeros

ONES, TWOS = np.ones(4, np.float32), np.full(4, 2, np.float32)


def test_a_leaf_is_exact_with_the_bits_of_any_compilation() -> None:
    zero = np.zeros(4, np.float32)
    leaf = LeafResults(before=ONES, after=zero, reference=ONES, others=(TWOS, zero), perturbed=(-zero,))
    assert leaf.is_exact
    assert not replace(leaf, after=-zero).is_exact
    assert not replace(leaf, others=(TWOS,)).is_exact


def test_a_leaf_is_unmoved_where_no_compilation_changes_a_number() -> None:
    lost = np.array([np.nan, 0, 1, 2], np.float32)
    leaf = LeafResults(before=lost, after=TWOS, reference=lost, others=(-np.array([np.nan, 0, -1, -2], np.float32),))
    assert leaf.is_unmoved
    assert not replace(leaf, others=(lost, TWOS)).is_unmoved
    assert not replace(leaf, reference=ONES).is_unmoved


def test_nans_and_zeros_count_that_no_result_here_has_at_their_places() -> None:
    own = np.array([np.nan, np.nan, 0, -0.0], np.float32)
    after = own.copy()
    leaf = LeafResults(before=ONES, after=after, reference=own, others=(own,))
    assert (odd_nans(leaf), odd_zeros(leaf)) == (0, 0)
    after.view(np.uint32)[:2] ^= 1
    after[2:] *= -1
    assert (odd_nans(leaf), odd_zeros(leaf)) == (2, 2)
    other = own.copy()
    other.view(np.uint32)[0] ^= 1
    other[3] = 1e-30
    assert (odd_nans(replace(leaf, others=(other,))), odd_zeros(replace(leaf, others=(other,)))) == (1, 1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
def test_a_nan_holds_no_hidden_bits(dtype: str) -> None:
    """NaNs in a leaf whose numbers move: one that is another NaN is at no distance, and could hold a weight."""
    step = made(dtypes=("float32", "float32", dtype))
    lost = [with_leaf(state, 2, state[2].copy()) for state in (step.reference, *step.others, step.after)]
    for state in lost:
        state[2][:10] = np.nan
    step = replace(step, reference=lost[0], others=lost[1:3])
    assert step.compared(after=lost[3]).leaves[2].outcome is PASSED
    odd = with_leaf(lost[3], 2, lost[3][2].copy())
    odd[2].view(np.uint8)[0] ^= 1
    assert np.isnan(odd[2][0])
    found = step.compared(after=odd)
    assert found.leaves[2].outcome is INCONCLUSIVE
    assert "1 NaNs with other bits than here" in found.leaves[2].reason
    assert step.compared(others=[odd, lost[1]], after=odd).leaves[2].outcome is PASSED


def test_a_zero_in_a_leaf_that_moves_keeps_its_sign() -> None:
    """Two zeros have no distance; the next step, or a later one, may go another way by their sign."""
    step = made()
    padded = [with_leaf(state, 1, state[1].copy()) for state in (step.reference, *step.others, step.after)]
    for state in padded:
        state[1][:3] = 0
    step = replace(step, reference=padded[0], others=padded[1:3])
    assert step.compared(after=padded[3]).leaves[1].outcome is PASSED
    signed = with_leaf(padded[3], 1, padded[3][1].copy())
    signed[1][:2] = -0.0
    found = step.compared(after=signed)
    assert (found.total.error == step.compared(after=padded[3]).total.error, found.outcome) == (True, INCONCLUSIVE)
    assert "2 zeros with another sign than here" in found.leaves[1].reason
    assert step.compared(others=[signed, padded[2]], after=signed).leaves[1].outcome is PASSED
    near = [with_leaf(state, 1, state[1].copy()) for state in padded[1:3]]
    near[0][1][:2] = 1e-30  # rounding may leave a number or a zero, of either sign
    assert step.compared(others=near, after=signed).leaves[1].outcome is PASSED

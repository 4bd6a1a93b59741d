"""What is said of one leaf of a step: frozen, exact, not finite, in few bits, or led by last places."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_steps import FAILED, INCONCLUSIVE, PASSED, State, Step, made, spec_of, with_leaf

from pol_jax.judging.leaf_distances import COARSE_LIMIT_SHARE
from pol_jax.judging.tolerance import StepComparison
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.outcomes import Outcome


@pytest.mark.parametrize(("small", "outcome"), [(32, INCONCLUSIVE), (8, PASSED)])
def test_small_elements_that_last_places_lead_do_not_hide_in_a_leaf(small: int, outcome: Outcome) -> None:
    """Last places move them by half their update, and the leaf as a whole not; of fewer than 16 nobody can say that."""
    draw = np.random.default_rng(0)
    size = np.where(np.arange(1024) < small, np.float32(1e-4), np.float32(1))
    before = size * draw.uniform(1, 1.9, 1024).astype(np.float32)
    reference = before * np.float32(1.01)
    others = [reference * (1 + sign * np.float32(2**-22)) for sign in (1, -1)]
    led = np.where(size < 1, reference + (reference - before) / 2, reference)
    spec = spec_of("float32", size=1024)

    def judged(nudged: np.ndarray) -> StepComparison:
        step = Step([before], [reference], [[other] for other in others], [reference], spec)
        return step.judged(perturbed=[[reference]] * 4, rounded=4, nudged=[[nudged]], scattered=[[reference]])

    assert judged(reference).outcome is PASSED
    found = judged(led)
    assert found.outcome is outcome
    told = any("last places of the state before move" in reason for reason in found.reasons)
    assert told is (outcome is INCONCLUSIVE), found.reasons


def test_a_frozen_leaf_stays() -> None:
    step = made()
    frozen = step.before[2]
    own = [with_leaf(state, 2, frozen) for state in (step.reference, *step.others)]
    step = replace(step, reference=own[0], others=own[1:], after=with_leaf(step.after, 2, frozen))
    assert step.compared().outcome is PASSED
    ulp = with_leaf(step.after, 2, np.nextafter(frozen, np.inf))
    assert step.compared(after=ulp).outcome is INCONCLUSIVE  # nothing is computed, so nothing is rounded
    for change in (1e-13, 1e-6, 1.0, 1e6):
        assert step.compared(after=with_leaf(step.after, 2, frozen + change)).outcome is FAILED
    one = frozen.copy()
    one[0] = np.nextafter(one[0], np.inf)  # less than a unit in the last place of the largest element
    assert step.compared(after=with_leaf(step.after, 2, one)).outcome is INCONCLUSIVE


def test_a_frozen_zero_keeps_its_sign() -> None:
    step = made()
    frozen = np.zeros(50)
    own = [with_leaf(state, 2, frozen) for state in (step.reference, *step.others)]
    step = replace(step, before=with_leaf(step.before, 2, frozen), reference=own[0], others=own[1:])
    assert step.compared(after=with_leaf(step.after, 2, frozen)).outcome is PASSED
    assert step.compared(after=with_leaf(step.after, 2, -frozen)).outcome is INCONCLUSIVE
    signed = [own[1], with_leaf(own[2], 2, -frozen)]
    assert step.compared(others=signed, after=with_leaf(step.after, 2, -frozen)).outcome is PASSED


def test_dtypes_of_few_bits_have_a_limit_of_their_own() -> None:
    step = made(noise=1e-3, update=1.0, dtypes=("bfloat16", "float32"))
    fine = with_leaf(step.after, 1, step.reference[1])
    found = step.compared(others=[with_leaf(other, 1, step.reference[1]) for other in step.others], after=fine)
    leaf = found.leaves[0].distances
    assert leaf is not None
    assert leaf.limit == COARSE_LIMIT_SHARE * max(leaf.update, leaf.expected)
    assert found.outcome is PASSED
    assert step.compared(after=with_leaf(fine, 0, step.before[0])).outcome is FAILED


@pytest.mark.parametrize("dtype", ["int32", "uint32", "bool", "uint8"])
def test_leaves_without_rounding_are_equal(dtype: str) -> None:
    step = made(dtypes=("float64", dtype))
    before, value = np.zeros(50, dtype), np.ones(50, dtype)
    own = [with_leaf(state, 1, value) for state in (step.reference, *step.others)]
    step = replace(
        step,
        before=with_leaf(step.before, 1, before),
        reference=own[0],
        others=own[1:],
        after=with_leaf(step.after, 1, value),
    )
    assert step.compared().outcome is PASSED
    one_off = value.copy()
    one_off[3] = 0
    assert step.compared(after=with_leaf(step.after, 1, one_off)).outcome is FAILED
    differing = [with_leaf(own[1], 1, one_off), own[2]]
    assert step.compared(others=differing).outcome is PASSED  # whatever another compilation makes of it
    assert step.compared(others=differing, after=with_leaf(step.after, 1, one_off)).outcome is INCONCLUSIVE


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_equal(value: float) -> None:
    def struck(state: State, at: int = 5) -> State:
        leaf = state[1].copy()
        leaf[at] = value
        return with_leaf(state, 1, leaf)

    step = made()
    own = [struck(state) for state in (step.reference, *step.others)]
    assert step.compared(reference=own[0], others=own[1:], after=struck(step.after)).outcome is PASSED
    assert step.compared(reference=own[0], others=own[1:], after=struck(step.after, 6)).outcome is FAILED
    assert step.compared(reference=own[0], others=own[1:]).outcome is FAILED
    assert step.compared(after=struck(step.after)).outcome is FAILED
    assert step.compared(others=own[1:], after=struck(step.after)).outcome is INCONCLUSIVE
    other = [np.where(np.isfinite(leaf), leaf, 1.0 if math.isnan(value) else -value) for leaf in struck(step.after)]
    assert step.compared(reference=own[0], others=own[1:], after=other).outcome is FAILED
    assert step.compared(before=struck(step.before)).outcome is PASSED
    lost = [np.full(50, value)] * 3
    assert step.compared(before=lost, after=lost, reference=lost, others=[lost] * 2).outcome is INCONCLUSIVE


@pytest.mark.parametrize(("ulps", "outcome"), [(0, Outcome.PASSED), (1, Outcome.INCONCLUSIVE)])
def test_a_leaf_with_the_bits_of_the_reference_needs_no_tolerance(ulps: int, outcome: Outcome) -> None:
    """Small updates of large values: a thousandth of them is less than one unit in the last place."""
    spec = (LeafSpec("/large", "float32", (50,), (1,), None), LeafSpec("/small", "float32", (50,), (1,), None))
    before = [np.zeros(50, np.float32), np.ones(50, np.float32)]
    after = [np.ones(50, np.float32), np.full(50, 1 + 2**-20, np.float32)]
    other = [after[0], after[1].copy()]
    other[1][3] -= np.float32(2**-23)
    committed = [after[0], after[1].copy()]
    committed[1][7] += np.float32(ulps * 2**-23)
    found = Step(before, after, [other, other], committed, spec).judged()
    distances = found.leaves[1].distances
    assert distances is not None
    assert distances.limit < distances.tolerance
    assert found.outcome is outcome, found.reasons

"""The laws of distances: no number vanishes or overflows, and scaling and order change nothing."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_steps import PASSED, Step, made, spec_of

from pol_jax.judging.magnitude_groups import BINADES


def test_an_overflowing_distance_never_passes() -> None:
    big = np.full(50, np.finfo(float).max)
    step = made(dtypes=("float64",))
    for after in (big, -big):
        found = step.compared(before=[-big], reference=[big], others=[[-big], [big]], after=[after])
        assert found.outcome is not PASSED


@given(power=st.integers(-50, 50).map(lambda groups: groups * BINADES), seed=st.integers(0, 99))
def test_scaling_changes_no_ratio(power: int, seed: int) -> None:
    """All states times a power of two that leaves like magnitudes together."""
    step = made(seed=seed)
    times = [[np.ldexp(leaf, power) for leaf in s] for s in (step.before, step.reference, step.after, *step.others)]
    one, other = step.compared(), Step(times[0], times[1], times[3:], times[2], step.spec).compared()
    assert one.outcome is other.outcome
    assert other.total.relative_error == pytest.approx(one.total.relative_error)
    assert other.total.relative_tolerance == pytest.approx(one.total.relative_tolerance)
    assert other.total.clearance == pytest.approx(one.total.clearance)
    assert other.l2 == pytest.approx(math.ldexp(one.l2, power))


@given(seed=st.integers(0, 99), order=st.randoms(use_true_random=False), noise=st.floats(0, 1))
def test_the_order_of_the_others_does_not_matter(seed: int, order: random.Random, noise: float) -> None:
    step = made(seed=seed, noise=noise)
    others = [*step.others, *made(seed=seed + 1).others]
    shuffled = order.sample(others, len(others))
    assert step.compared(others=others).outcome is step.compared(others=shuffled).outcome
    assert step.compared(others=others).total.noise == pytest.approx(step.compared(others=shuffled).total.noise)


@given(seed=st.integers(0, 99), noise=st.floats(0, 1))
def test_the_total_is_that_of_one_long_leaf(seed: int, noise: float) -> None:
    step = made(seed=seed, noise=noise)
    joined = [[np.concatenate(s)] for s in (step.before, step.reference, step.after, *step.others)]
    one = step.compared().total
    whole = Step(joined[0], joined[1], joined[3:], joined[2], spec_of("float64", size=150)).compared().total
    for name in ("update", "expected", "error", "noise"):
        assert getattr(one, name) == pytest.approx(getattr(whole, name))

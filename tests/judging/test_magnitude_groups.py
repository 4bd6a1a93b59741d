"""Groups of like magnitude: each has the rounding, noise and update of its own elements."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.judging.leaf_distances import PERTURBED_PLACES, measure_leaf
from pol_jax.judging.leaf_results import LeafResults
from pol_jax.judging.magnitude_groups import BINADES, ENOUGH, MOST_PLACES, MagnitudeGroup, measure_groups

EPS = float(np.finfo(np.float32).eps)


def groups_of(before: np.ndarray, after: np.ndarray, *own: np.ndarray) -> list[MagnitudeGroup]:
    return measure_groups("float32", LeafResults(before=before, after=after, reference=own[0], others=own[1:]))


def test_a_large_element_is_alone() -> None:
    before = np.append(np.full(100, 0.5, np.float32), np.float32(-1e8))
    after = before + np.append(np.full(100, 0.25), 0).astype(np.float32)
    small, large = groups_of(before, before, after, after)
    assert (small.count, large.count) == (100, 1)
    assert small.error == pytest.approx(2.5)
    assert small.bound == pytest.approx(EPS * 7.5)
    assert large.bound == pytest.approx(MOST_PLACES * EPS * 1e8)
    assert large.error == 0


def test_zeros_have_no_rounding() -> None:
    before = np.zeros(20, np.float32)
    (zeros,) = groups_of(before, before + np.float32(1e-30), before, before)
    assert (zeros.bound, zeros.tolerance, zeros.rounding) == (0, 0, 0)
    assert zeros.error > 0


@given(exponents=st.lists(st.integers(-60, 60), min_size=1, max_size=40), seed=st.integers(0, 99))
def test_groups_are_of_like_magnitude_and_make_up_the_leaf(exponents: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    before = np.ldexp(draw.uniform(0.5, 1, len(exponents)), exponents).astype(np.float32)
    after, own = (before * (1 + draw.normal(size=len(before)).astype(np.float32) / 1000) for _ in range(2))
    other = own * np.float32(1 + 1e-6)
    groups = groups_of(before, after, own, other)
    assert sum(group.count for group in groups) == len(before)
    binades = np.frexp(np.maximum(np.abs(before), np.abs(own)))[1] // BINADES
    assert len(groups) == len(set(binades.tolist()))
    leaf = measure_leaf("float32", LeafResults(before=before, after=after, reference=own, others=[other]))
    assert math.hypot(*(group.error for group in groups)) == pytest.approx(leaf.error)
    assert math.hypot(*(group.noise for group in groups)) == pytest.approx(leaf.noise)


def test_few_elements_have_a_larger_bound() -> None:
    for count in (1, 4, ENOUGH, 100):
        before = np.full(count, 0.5, np.float32)
        (group,) = groups_of(before, before, before, before + np.float32(1e-4))
        assert group.tolerance == pytest.approx(10 * max(1, ENOUGH / count) * group.noise)


def test_what_a_perturbed_last_place_moves_is_noise() -> None:
    before = np.full(50, 0.5, np.float32)
    perturbed = [before + np.float32(0.01), before]
    leaf = LeafResults(before=before, after=before, reference=before, others=[before], perturbed=perturbed)
    (by_places,) = measure_groups("float32", replace(leaf, rounded=1))
    (by_more,) = measure_groups("float32", leaf)
    assert by_places.noise == pytest.approx(0.01 * math.sqrt(50) / PERTURBED_PLACES)
    assert by_more.noise == 0
    assert by_places.reach == by_more.reach > 0


def test_elements_that_are_not_finite_are_left_to_another_rule() -> None:
    before = np.array([np.nan, 1, np.inf], np.float32)
    (group,) = groups_of(before, before, before, before)
    assert group.count == 1
    assert groups_of(before[:1], before[:1], before[:1], before[:1]) == []


def test_a_perturbed_result_that_is_lost_excuses_no_element() -> None:
    """A program could lose it on purpose, and no group would be judged."""
    before = np.full(50, 0.5, np.float32)
    lost = np.full(50, np.nan, np.float32)
    leaf = LeafResults(before=before, after=before + 1, reference=before, others=[before], perturbed=[lost])
    (group,) = measure_groups("float32", leaf)
    assert group.count == 50
    assert group.error > group.bound > 0
    assert group.reach == math.inf


def test_an_element_that_was_not_finite_before_is_judged() -> None:
    before, own = np.full(50, np.nan, np.float32), np.full(50, 0.5, np.float32)
    (group,) = groups_of(before, own + 1, own, own)
    assert group.error > group.bound

"""How far a leaf went, by the magnitude of its elements, and what share of that tolerances could make up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.judging.displacement import displacements
from pol_jax.judging.leaf_numbers import finite_distance
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.reports.comparison import Room


def share_of(first: list[float], last: list[float], *rooms: Room) -> float:
    """The share for a leaf of float64, with these rooms in the only step."""
    spec = LeafSpec("/w", "float64", (len(first),), (1,), None)
    (leaf,) = displacements((spec,), [np.array(first)], [np.array(last)])
    return leaf.share([rooms], [1.0])


def test_a_large_element_of_a_leaf_makes_no_room_for_small_ones() -> None:
    """A counter that lies in one vector with the parameters."""
    first, last = [0.5] * 20 + [0.0], [1.5] * 20 + [1e6]
    assert share_of(first, last, Room(0, 0.2)) == pytest.approx(0.2 / math.sqrt(20))
    assert share_of(first, last, Room(4, 100.0)) == pytest.approx(1e-4)  # the counter's own last places
    assert share_of(first, last, Room(-2, 0.2)) == pytest.approx(0.2 / math.sqrt(20))  # smaller ones count with them
    assert share_of(first, last, Room(0, None)) == math.inf


def test_small_elements_of_a_small_leaf_are_held_against_themselves() -> None:
    """A model could be cut into leaves of a few parameters beside a counter; a leaf's last few show little."""
    room = Room(0, 0.2)
    assert share_of([0.5] * 15 + [0.0], [1.5] * 15 + [1e6], room) == pytest.approx(0.2 / math.sqrt(15))
    few, rest = [1e-4] * 15, [1.0] * 17
    assert share_of([0.0] * 32, few + rest, Room(-4, 1e-5)) == pytest.approx(1e-5 / math.hypot(1e-4 * 15**0.5, 17**0.5))
    assert share_of([0.0] * 32, [*few, 0.0001, *rest[1:]], Room(-4, 1e-5)) == pytest.approx(1e-5 / 4e-4)


def test_a_few_small_elements_of_a_large_leaf_are_no_model() -> None:
    first, last = [0.0] * 1000, [1e-4] * 40 + [1.0] * 960
    assert share_of(first, last, Room(-4, 1e-3)) < 1e-4
    assert share_of(first, [1e-4] * 70 + [1.0] * 930, Room(-4, 1e-3)) == pytest.approx(1e-3 / (1e-4 * math.sqrt(70)))


def test_what_was_used_of_a_room_is_reckoned_for_small_elements_too() -> None:
    spec = LeafSpec("/w", "float64", (40,), (1,), None)
    first, last = [0.5] * 20 + [100.0] * 20, [0.6] * 20 + [100.0] * 20
    (gone,) = displacements((spec,), [np.array(first)], [np.array(last)])
    assert gone.part_of([Room(0, 0.1 * math.sqrt(20) * 2), Room(1, 5.0)]) == pytest.approx(0.5)
    assert gone.part_of([Room(1, 5.0)]) == 1
    assert gone.part_of([Room(0, None), Room(1, 5.0)]) == 1


def test_a_few_elements_near_zero_are_held_against_the_others() -> None:
    """Of any leaf some elements end near 0. A leaf of nothing else is held against itself."""
    near = [1e-6, -1e-6]
    assert share_of([0.0] * 42, [1.0] * 40 + near, Room(-5, 1e-3)) < 1e-3
    assert share_of([0.0] * 2, near, Room(-5, 1e-3)) == pytest.approx(1e-3 / math.sqrt(2e-12))


def test_elements_that_never_move_do_not_count() -> None:
    """A mask, or weights that are pruned away: however many there are, those that move are judged."""
    assert share_of([-1e9] * 1000 + [0.5] * 10, [-1e9] * 1000 + [1.5] * 10, Room(0, 1.0)) == pytest.approx(
        1 / math.sqrt(10)
    )
    assert share_of([0.0] * 1000 + [0.5], [0.0] * 1000 + [0.5], Room(0, 1.0)) == math.inf


@given(seed=st.integers(0, 99), size=st.integers(1, 60), dtype=st.sampled_from(["float32", "bfloat16", "complex64"]))
def test_the_magnitudes_of_a_leaf_make_up_its_distance(seed: int, size: int, dtype: str) -> None:
    draw = np.random.default_rng(seed)
    first, last = (np.ldexp(draw.normal(size=size), draw.integers(-40, 40, size)).astype(DTYPES[dtype]) for _ in "ab")
    (leaf,) = displacements((LeafSpec("/w", dtype, (size,), (1,), None),), [first], [last])
    assert leaf.distance == pytest.approx(finite_distance(first, last))
    assert leaf.share([[Room(50, 2.0)], [Room(50, 1.0)]], [10.0, 10.0]) == pytest.approx(30 / leaf.distance)

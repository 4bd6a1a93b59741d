"""Distances from a tie, for each kind of decision, against a plain count over all pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.judging.tie_distances import TieDistance, tie_distances
from pol_jax.protocol.ties import ExtremumTie, Observed, OrderTie, PairTie, Rounding, RoundingTie, Tie, WindowTie

FIRST, SECOND = Observed(0), Observed(1)


def distances(tie: Tie, *arrays: np.ndarray) -> list[TieDistance]:
    return list(tie_distances(tie, lambda operand: arrays[operand.place]))


def array(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_a_pair_ties_where_it_is_equal() -> None:
    first, second = distances(PairTie(FIRST, SECOND), array(1, 2, 3, np.inf), array(1.5, 2, 1, 0))
    assert first.distance.tolist() == second.distance.tolist() == [[0.5, 0, 2, np.inf]]
    assert first.crossing.tolist() == [[1, 1, -1, -1]]
    assert second.crossing.tolist() == [[-1, -1, 1, 1]]
    assert (first.other, second.other) == (SECOND, FIRST)


def test_a_constant_is_a_pair_too() -> None:
    (only,) = distances(PairTie(0.5, FIRST), array(1, 0))
    assert only.distance.tolist() == [[0.5, 0.5]]
    assert only.crossing.tolist() == [[-1, 1]]
    assert only.other is None


def test_one_bound_of_a_clamp_for_all_elements() -> None:
    low, value = distances(PairTie(FIRST, SECOND), np.array([1.0], np.float32), array(3, 1.25, 0))
    assert low.distance.tolist() == [0.25]
    assert low.crossing.tolist() == [1]
    assert value.distance.tolist() == [[2, 0.25, 1]]


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.SIGN, [0.25, 1.5, 2.0**25]),
        (Rounding.WHOLE, [0.25, 0.5, np.inf]),
        (Rounding.HALF, [0.25, 0, np.inf]),
    ],
)
def test_where_an_operation_jumps(rounding: Rounding, expected: list[float]) -> None:
    (found,) = distances(RoundingTie(FIRST, rounding), array(0.25, 1.5, 2.0**25))
    assert found.distance.tolist() == [expected]


def test_the_largest_ties_with_the_second() -> None:
    (found,) = distances(ExtremumTie(FIRST, (0,), (1,)), array(1, 4, 3.5, -np.inf))
    assert found.distance.tolist() == [[3, 0.5, 0.5, np.inf]]
    assert found.crossing.tolist() == [[1, -1, 1, 1]]
    (smallest,) = distances(ExtremumTie(FIRST, (0,), (-1,)), array(1, 4, 3.5))
    assert smallest.distance.tolist() == [[2.5, 3, 2.5]]
    assert smallest.crossing.tolist() == [[1, -1, -1]]


def test_an_element_ties_with_its_neighbours_in_order() -> None:
    (found,) = distances(OrderTie(FIRST, 0), array(5, 1, 4.5, 2))
    assert found.distance.tolist() == [[0.5, 1, 0.5, 1]]
    assert found.crossing.tolist() == [[-1, 1, 1, -1]]


@given(
    seed=st.integers(0, 999),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_an_element_ties_in_the_windows_that_it_is_in(
    seed: int, shape: tuple[int, int], strides: tuple[int, int], padding: tuple[int, int]
) -> None:
    values = np.random.default_rng(seed).normal(size=(1, 5, 4)).astype(np.float32)
    pads = tuple((pad, pad) for pad in padding)
    (found,) = distances(WindowTie(FIRST, shape, strides, pads, (1,)), values)
    expected = np.full(values.shape, np.inf)
    padded = np.pad(values, [(0, 0), *pads], constant_values=-np.inf)
    places = np.pad(np.arange(20).reshape(1, 5, 4), [(0, 0), *pads], constant_values=-1)
    for top in range(0, padded.shape[1] - shape[0] + 1, strides[0]):
        for left in range(0, padded.shape[2] - shape[1] + 1, strides[1]):
            cut = (0, slice(top, top + shape[0]), slice(left, left + shape[1]))
            window, where = padded[cut].ravel(), places[cut].ravel()
            for value, place in zip(window, where, strict=True):
                others = np.sort(window)[::-1]
                if place >= 0 and len(others) > 1:
                    gap = others[0] - others[1] if value == others[0] else others[0] - value
                    at = np.unravel_index(place, values.shape)
                    expected[at] = min(expected[at], gap)
    np.testing.assert_allclose(found.distance, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "tie",
    [
        ExtremumTie(FIRST, (0,), (1,)),
        OrderTie(FIRST, 0),
        WindowTie(FIRST, (1,), (1,), ((0, 0),), (1,)),
    ],
)
def test_an_element_without_others_ties_with_nothing(tie: Tie) -> None:
    (found,) = distances(tie, array(1))
    assert found.distance.tolist() == [[np.inf]]


@given(seed=st.integers(0, 999), factor=st.floats(1.001, 3))
@pytest.mark.parametrize(
    ("tie", "decide"),
    [
        (ExtremumTie(FIRST, (0,), (1,)), lambda x: np.argmax(x, -1)),
        (OrderTie(FIRST, 0), lambda x: np.argsort(x, -1)),
        (RoundingTie(FIRST, Rounding.WHOLE), np.floor),
        (RoundingTie(FIRST, Rounding.HALF), np.rint),
        (RoundingTie(FIRST, Rounding.SIGN), np.sign),
    ],
)
def test_an_element_that_crosses_its_tie_decides_otherwise(
    tie: Tie, decide: Callable[[np.ndarray], np.ndarray], seed: int, factor: float
) -> None:
    values = np.random.default_rng(seed).normal(size=(1, 6)).astype(np.float32)
    (found,) = distances(tie, values)
    nearest = int(np.argmin(found.distance))
    moved = values.copy()
    moved[0, nearest] += np.float32(factor) * found.crossing[0, nearest] * found.distance[0, nearest]
    less = values.copy()
    less[0, nearest] += np.float32(0.99) * found.crossing[0, nearest] * found.distance[0, nearest]
    assert not np.array_equal(decide(moved), decide(values))
    assert np.array_equal(decide(less), decide(values))

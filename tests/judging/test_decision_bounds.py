"""Bounds of decisions: calibrated from a machine's own results, and what is near a tie by them."""

from __future__ import annotations

import numpy as np
import pytest

from pol_jax.judging.decision_bounds import BOUND_FACTOR, ENOUGH, TYPICAL_FACTOR, Calibration, OperandReader, SiteBounds
from pol_jax.protocol.decision_entries import Entries
from pol_jax.protocol.ties import Observed, PairTie, Tie

X, Y = Observed(0), Observed(1)
ZERO = PairTie(X, 0.0)


def shown(values: np.ndarray) -> OperandReader:
    """One execution of an operand that is the only one, or equal to all others."""
    return lambda _: values[None]


def calibrated(*results: np.ndarray, ties: tuple[Tie, ...] = (ZERO,)) -> SiteBounds:
    calibration = Calibration([X], ties)
    for each in results:
        calibration.add(shown(each))
    return calibration.bounds()


def floats(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def normal(size: int = 1000) -> np.ndarray:
    return np.random.default_rng(0).normal(size=size).astype(np.float32)


def noisy(values: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return (values + noise * np.random.default_rng(seed).uniform(-1, 1, values.shape)).astype(np.float32)


def test_the_bound_is_twice_the_largest_difference() -> None:
    own = normal()
    results = [own, *(noisy(own, 1e-4, seed) for seed in (1, 2))]
    spread = np.max(np.stack(results), 0) - np.min(np.stack(results), 0)
    assert calibrated(*results).bound(0) == pytest.approx(BOUND_FACTOR * spread.max())


def test_without_differences_nothing_is_near() -> None:
    bounds = calibrated(normal(), normal())
    assert bounds.bound(0) == 0
    assert not len(bounds.near(lambda _: np.zeros((1, 1000), np.float32))[0].indices)


def test_a_few_noisy_elements_excuse_no_others() -> None:
    own, other = normal(), noisy(normal(), 1e-6, 1)
    other[7] += 100
    assert calibrated(own, other).bound(0) <= BOUND_FACTOR * TYPICAL_FACTOR * 2e-6


def test_few_elements_show_less_of_the_differences_than_there_are() -> None:
    assert calibrated(floats([1]), floats([1.5])).bound(0) == BOUND_FACTOR * 0.5 * ENOUGH


def test_near_is_what_lies_within_the_bound() -> None:
    own = normal()
    bounds = calibrated(own, noisy(own, 1e-3, 1))
    near = bounds.near(lambda _: own[None])[0]
    assert near.indices.tolist() == np.flatnonzero(np.abs(own) <= bounds.bound(0)).tolist()
    assert len(near.indices)
    assert (near.distance <= 1).all()
    np.testing.assert_array_equal(near.crossing, np.where(near.values > 0, -1, 1))


def test_what_ties_exactly_under_every_compilation_is_no_tie() -> None:
    own, other = normal(), noisy(normal(), 1e-3, 1)
    own[:5] = other[:5] = 0
    other[4] = 1e-7
    bounds = calibrated(own, other)
    assert [at for at in bounds.near(lambda _: own[None])[0].indices if at < 5] == [4]


def test_an_entry_must_be_near_the_own_value_and_that_near_a_tie() -> None:
    own = np.concatenate([floats([1e-5, 0.5, -1e-5, 1e-5]), normal()])
    bounds = calibrated(own, noisy(own, 1e-4, 1))
    bound = bounds.bound(0)
    given = Entries(np.array([0, 1, 2, 3, 5000]), floats([-1e-5, 0.5, 1.5 * bound, 0, 0]))
    used = bounds.usable({0: given}, lambda _: own[None])
    assert used[0].indices.tolist() == [0, 3]
    assert bounds.within({0: given}, lambda _: own[None])[0].indices.tolist() == [0, 1, 3]


def test_equal_operands_have_each_others_ties() -> None:
    """The gradient of a maximum asks what is equal to it; an entry for one of two equal operands would part them."""
    x = np.concatenate([floats([1e-5, 2, -1e-5]), normal()])
    ties = (PairTie(X, Y), PairTie(Y, 0.0))
    calibration = Calibration([X, Y], ties)
    for each in (x, noisy(x, 1e-4, 1)):
        calibration.add(shown(each))
    near = calibration.bounds().near(lambda _: x[None])
    assert near[0].indices.tolist() == near[1].indices.tolist()
    assert {0, 2} <= set(near[0].indices.tolist())
    np.testing.assert_array_equal(near[0].crossing, near[1].crossing)
    np.testing.assert_array_equal(near[0].most, near[1].most)


def test_wider_bounds_have_more_near_ties() -> None:
    own = normal(10000)
    bounds = calibrated(own, noisy(own, 1e-3, 1))
    few, many = (each.near(lambda _: own[None])[0].indices for each in (bounds, bounds.scaled(8.0)))
    assert set(few.tolist()) < set(many.tolist())


def of_turns(values: np.ndarray) -> OperandReader:
    return lambda _: values


def test_executions_beyond_those_of_every_compilation_are_not_near() -> None:
    calibration = Calibration([X], (ZERO,))
    for turns in (3, 2):
        calibration.add(of_turns(noisy(np.zeros((turns, 50)), 1e-3, turns)))
    near = calibration.bounds().near(lambda _: np.full((3, 50), np.float32(1e-5)))
    assert near[0].indices.tolist() == list(range(100))

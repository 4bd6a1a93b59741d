"""A leaf as a vector of numbers: what is rounded, its bits, and distances that neither vanish nor overflow."""

from __future__ import annotations

import numpy as np
import pytest
from made_steps import FAILED, PASSED, Step, made

from pol_jax.judging import leaf_numbers
from pol_jax.judging.leaf_numbers import bits_of, doubles, finite_distance, is_floating, norm, same_non_finite


def test_what_is_rounded_is_floating() -> None:
    assert all(map(is_floating, ("float16", "bfloat16", "float32", "float64", "complex64", "float8_e4m3fn")))
    assert not any(map(is_floating, ("int32", "uint8", "bool")))


def test_a_complex_number_is_two_doubles_and_two_numbers_of_bits() -> None:
    leaf = np.array([[1 - 2j, 3 + 0j]], np.complex64)
    assert doubles(leaf).tolist() == [1, -2, 3, 0]
    assert bits_of(leaf).tolist() == np.array([1, -2, 3, 0], np.float32).view(np.uint32).tolist()
    assert bits_of(np.array([0.0, -0.0])).tolist() == [0, 2**63]


@pytest.mark.parametrize("chunk", [2**20, 2])
def test_a_distance_is_over_what_is_finite_in_both(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(leaf_numbers, "_CHUNK", chunk)
    first = np.array([3, 0, np.nan, 1, np.inf], np.float32)
    second = np.array([0, 4, 1, np.inf, np.inf], np.float32)
    assert finite_distance(first, second) == 5


def test_the_norm_of_tiny_and_of_huge_differences_is_known() -> None:
    everywhere = np.ones(2, bool)
    for scale in (1e-300, 1e300):
        assert norm(np.array([3, 4]) * scale, np.zeros(2), everywhere) == pytest.approx(5 * scale)
    most = np.full(2, np.finfo(float).max)
    assert norm(most, -most, everywhere) == np.inf
    assert norm(most, -most, ~everywhere) == 0


def test_an_infinity_has_a_sign_and_a_nan_no_payload_among_what_is_not_finite() -> None:
    leaf = np.array([1, np.inf, np.nan], np.float32)
    assert same_non_finite(leaf, np.array([2, np.inf, -np.nan], np.float32))
    assert not same_non_finite(leaf, np.array([1, -np.inf, np.nan], np.float32))
    assert not same_non_finite(leaf, np.array([np.nan, np.inf, 1], np.float32))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_extreme_values_neither_vanish_nor_overflow(scale: float) -> None:
    step = made()
    scaled = [[leaf * scale for leaf in state] for state in (step.before, step.reference, step.after, *step.others)]
    whole = Step(scaled[0], scaled[1], scaled[3:], scaled[2], step.spec)
    assert whole.compared().outcome is PASSED
    assert whole.compared(after=scaled[0]).outcome is FAILED


def test_complex_values_count_as_two() -> None:
    step = made(dtypes=("complex64",))
    assert step.compared().outcome is PASSED
    conjugate = [leaf + np.complex64(1j) for leaf in step.after]
    assert step.compared(after=conjugate).outcome is FAILED

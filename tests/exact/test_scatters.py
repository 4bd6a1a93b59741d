"""Sums at indices do not depend on their order, and of several numbers for one place the last remains."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
from exact_laws import COUNT, TINY, compiled, few, fractions_of, same
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=25)
@given(few, st.lists(st.integers(0, 3), min_size=COUNT, max_size=COUNT))
def test_sums_at_indices_do_not_depend_on_their_order(x: np.ndarray, at: list[int]) -> None:
    indices = np.array(at, np.int32)
    once = compiled(_scattered)(x, indices)
    again = compiled(_scattered)(x[::-1].copy(), indices[::-1].copy())
    same(once, list(np.asarray(again)))
    total = [sum((Fraction(float(v)) for v, i in zip(x, at, strict=True) if i == at_), Fraction(0)) for at_ in range(4)]
    largest = max(map(abs, fractions_of(x)))
    for found, expected in zip(np.asarray(once), total, strict=True):
        assert abs(Fraction(float(found)) - expected) <= abs(expected) * Fraction(1, 2**24) + largest / 2**36 + TINY


def _scattered(x: Any, indices: Any) -> Any:
    return jnp.zeros(4).at[indices].add(x)


def test_of_several_updates_of_an_element_the_last_remains() -> None:
    x, indices = np.arange(1, 9, dtype=np.float32), np.array([2, 0, 2, 1, 0, 2, 3, 0], np.int32)
    found = np.asarray(compiled(_written)(x, indices))
    assert found.tolist() == [8, 4, 6, 7, -1]


def _written(x: Any, indices: Any) -> Any:
    return jnp.full(5, -1.0).at[indices].set(x)

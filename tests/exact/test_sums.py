"""Sums and products along axes are trees, and those of all elements before each one too."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from exact_laws import by_numpy, compiled, few, same
from hypothesis import given, settings
from jax import lax

from pol_jax.exact.values import canonical_constant


@settings(max_examples=25)
@given(few)
def test_a_long_sum_is_a_tree(x: np.ndarray) -> None:
    values = [np.float32(v) for v in canonical_constant(x[:13])]
    while len(values) > 1:
        values += [np.float32(0)] * (len(values) % 2)
        half = len(values) // 2
        values = [a + b for a, b in zip(values[:half], values[half:], strict=True)]
    same(compiled(_sum_of_13)(x), [values[0]])


def _sum_of_13(x: Any) -> Any:
    return jnp.sum(x[:13])


def test_products_have_the_same_tree_and_nothing_has_its_neutral_element() -> None:
    x = np.array([1.1, 1.3, 0.7, 1.9, 0.3], np.float32)
    one, other, third = x[0] * x[3], x[1] * x[4], x[2]
    (found,) = by_numpy(lambda x: lax.reduce_prod(x, (0,)), x)
    assert found == (one * third) * other
    nothing = by_numpy(lambda x: (lax.reduce_sum(x[:0], (0,)), lax.reduce_prod(x[:0], (0,))), x)
    assert [float(each) for each in nothing] == [0, 1]


def test_axes_are_one_list_in_row_major_order() -> None:
    x = np.linspace(0.1, 0.9, 24, dtype=np.float32).reshape(2, 3, 4)
    (both,) = by_numpy(lambda x: lax.reduce_sum(x, (0, 2)), x)
    (flat,) = by_numpy(lambda x: lax.reduce_sum(x, (1,)), x.transpose(1, 0, 2).reshape(3, 8))
    same(both, list(flat))


def test_each_element_is_added_to_the_one_some_places_before() -> None:
    x = np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32)
    expected = x
    for distance in (1, 2, 4):
        expected = np.concatenate([np.zeros(distance, np.float32), expected[:-distance]]) + expected
    (found,) = by_numpy(lambda x: lax.cumsum(x, 0), x)
    same(found, list(expected))
    (backwards,) = by_numpy(lambda x: lax.cumsum(x, 0, reverse=True), x[::-1].copy())
    assert np.allclose(backwards[::-1], found, rtol=1e-6)

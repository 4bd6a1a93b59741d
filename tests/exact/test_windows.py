"""Windows are added from the first element to the last, and ties in them go to the first."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from exact_laws import by_numpy, compiled
from jax import lax

from pol_jax.exact.windows import Sliding


def test_windows_are_counted_with_strides_and_dilation() -> None:
    assert Sliding((2, 3), (1, 2), (1, 1)).places((4, 7)) == (3, 3)
    assert Sliding((3,), (1,), (2,)).places((5,)) == (1,)
    assert Sliding((3,), (1,), (2,)).places((4,)) == (0,)


def test_elements_of_a_window_are_added_in_order() -> None:
    x = np.array([1e8, 1.0, -1e8, 1.0, 3.0, -7.5], np.float32)
    (found,) = by_numpy(lambda x: lax.reduce_window(x, 0.0, lax.add, (3,), (1,), ((1, 0),)), x)
    padded = np.concatenate([np.zeros(1, np.float32), x])
    expected = [(padded[at] + padded[at + 1]) + padded[at + 2] for at in range(5)]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_the_gradient_of_a_maximum_goes_to_the_first_of_equal_elements() -> None:
    found = compiled(_gradient)(np.array([2.0, 2.0, 1.0, 3.0, 3.0], np.float32))
    assert found.tolist() == [1, 10, 0, 1100, 0]


def _gradient(x: Any) -> Any:
    def weighted(x: Any) -> Any:
        best = lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID")
        return jnp.sum(best * jnp.array([1.0, 10.0, 100.0, 1000.0]))

    return jax.grad(weighted)(x)

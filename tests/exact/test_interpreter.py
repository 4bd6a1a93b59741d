"""The interpreter evaluates each operation by its rule, and refuses what has none."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_laws import by_numpy
from jax import lax

from pol_jax.errors import TaskError
from pol_jax.exact import exact
from pol_jax.exact.interpreter import check_type, constant


def test_constants_are_canonical() -> None:
    """Those of a literal, of NumPy and of jax, all of which a program may hold."""
    held = jnp.array([-0.0, 2.0**-130, 3.0])
    found = jax.jit(exact(lambda x: (held + 0 * x, np.float32(-0.0) * x, np.array([2.0**-126] * 3, np.float32) + x)))(
        np.zeros(3, np.float32)
    )
    assert [np.asarray(part).view(np.uint32).tolist() for part in found] == [[0, 0, 0x40400000], [0] * 3, [0] * 3]


def test_a_constant_is_made_canonical_when_it_is_read() -> None:
    found = np.asarray(constant(np.array([-0.0, 2.0**-130, 3.0, 2.0**-123], np.float32)))
    assert found.view(np.uint32).tolist() == [0, 0, 0x40400000, 0x02000000]
    whole = constant(np.array([-1, 2], np.int32))
    assert (whole.dtype, whole.tolist()) == (np.dtype(np.int32), [-1, 2])


@pytest.mark.parametrize("dtype", ["float64", "float8_e4m3fn", "complex64"])
def test_a_type_that_is_not_covered_is_refused(dtype: str) -> None:
    for covered in ("float32", "bfloat16", "float16", "int64", "bool"):
        check_type(jnp.dtype(covered), "in a constant")
    with pytest.raises(TaskError, match=f"{dtype}.* in a constant|in a constant.*{dtype}"):
        check_type(jnp.dtype(dtype), "in a constant")


def test_integers_keep_their_operations_and_half_precision_is_computed_in_float32() -> None:
    def both(n: Any, h: Any) -> Any:
        return n * n - 3, h * h + h

    n, h = np.array([5, -7], np.int32), np.array([0.1, 3.0], np.float32).astype(jnp.bfloat16)
    whole, half = by_numpy(both, n, h)
    assert whole.tolist() == [22, 46]
    wide = h.astype(np.float32)
    squares = (wide * wide).astype(jnp.bfloat16).astype(np.float32)  # each operation is rounded by itself
    np.testing.assert_array_equal(half, (squares + wide).astype(jnp.bfloat16))


def test_a_division_by_a_constant_has_the_bits_of_a_division() -> None:
    x = np.linspace(-3, 3, 41, dtype=np.float32)
    (by_constant,) = by_numpy(lambda x: x / np.float32(0.9), x)
    (by_number,) = by_numpy(lax.div, x, np.full_like(x, 0.9))
    np.testing.assert_array_equal(by_constant, by_number)

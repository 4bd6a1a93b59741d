"""Half precision is rounded once, to nearest even, and integers are truncated and saturated."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from exact_laws import arrays, by_numpy, compiled
from hypothesis import given, settings

from pol_jax.exact.values import canonical_constant


@settings(max_examples=40)
@given(arrays)
def test_half_precision_is_rounded_to_nearest_even(x: np.ndarray) -> None:
    bfloat16, float16 = compiled(_halves)(x)
    for found, dtype in ((bfloat16, jnp.bfloat16), (float16, np.float16)):
        with np.errstate(over="ignore"):
            expected = canonical_constant(x).astype(dtype)
        expected = np.where(expected == 0, np.array(0, dtype), expected)
        np.testing.assert_array_equal(np.asarray(found).view(np.uint16), expected.view(np.uint16))


def _halves(x: Any) -> Any:
    return x.astype(jnp.bfloat16), x.astype(np.float16)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32"])
def test_a_float_becomes_the_nearest_integer_towards_zero_that_the_type_has(dtype: str) -> None:
    x = np.array([-1e30, -1.9, -0.5, 0.0, 1.9, 126.5, 255.9, 2.0**31, 1e30, -np.inf, np.inf, np.nan], np.float32)
    (found,) = by_numpy(lambda x: x.astype(dtype), x)
    limits = np.iinfo(dtype)
    expected = [0 if np.isnan(v) else int(np.clip(np.trunc(float(v)), limits.min, limits.max)) for v in x]
    assert found.tolist() == expected


def test_every_half_precision_number_is_the_same_in_float32() -> None:
    words = np.arange(2**16, dtype=np.uint16)
    for dtype in (np.dtype(np.float16), np.dtype(jnp.bfloat16)):
        x = words.view(dtype)
        (found,) = by_numpy(lambda x: x.astype(np.float32), x)
        with np.errstate(all="ignore"):
            expected = canonical_constant(x.astype(np.float32))
        np.testing.assert_array_equal(found, expected)


def test_the_middle_of_two_numbers_goes_to_the_even_one() -> None:
    x = np.array([257, 259, -1 - 2**-8, 1 + 3 * 2**-8, 2049, 2051, 2**-25, 3 * 2**-25], np.float32)
    for found, dtype in zip(by_numpy(_halves, x), (jnp.bfloat16, np.float16), strict=True):
        np.testing.assert_array_equal(found, x.astype(dtype))

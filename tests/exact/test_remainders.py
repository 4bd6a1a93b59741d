"""Remainders are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from exact_laws import arrays, by_numpy, compiled, fractions_of, same
from hypothesis import given, settings
from jax import lax


@settings(max_examples=25)
@given(arrays, arrays)
def test_remainders_are_exact(x: np.ndarray, y: np.ndarray) -> None:
    for a, b, found in zip(fractions_of(x), fractions_of(y), np.asarray(compiled(_remainder)(x, y)), strict=True):
        if b:
            rest = abs(a) - abs(a) // abs(b) * abs(b)
            same(found, [np.float32(float(rest if a >= 0 else -rest))])
        else:
            assert np.isnan(found)


def _remainder(x: Any, y: Any) -> Any:
    return lax.rem(x, y)


def test_remainders_of_what_is_no_number_or_far_larger() -> None:
    x = np.array([np.inf, np.nan, 5, 1e38, -7, 7, 3, 0], np.float32)
    y = np.array([2, 2, np.inf, 3e-20, 4, -4, 0, 5], np.float32)
    (found,) = by_numpy(lax.rem, x, y)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, np.fmod(x, y))
    assert np.isnan(found).tolist() == [True, True, False, False, False, False, True, False]

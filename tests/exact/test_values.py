"""Canonical values are multiples of 2**-123 that are not -0, infinities, or one NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from exact_laws import evaluated, floats
from hypothesis import given

from pol_jax.exact.values import (
    absolute,
    canonical,
    canonical_constant,
    flushed,
    is_float,
    is_nan,
    negative,
    power_of_two,
    quiet,
    removed,
    with_sign,
)

ODD = np.array([0, 0x80000000, 1, 0x80000001, 0x02000001, 0x01FFFFFF, 0x00800000, 0x3F800001, 0x7F800000], np.uint32)
NANS = np.array([0x7F800001, 0xFFC12345, 0x7FC00000], np.uint32)


def words(x: Any) -> list[int]:
    found: list[int] = np.asarray(x).view(np.uint32).tolist()
    return found


def of(function: Callable[..., Any], *arguments: np.ndarray) -> np.ndarray:
    (found,) = evaluated(function, *arguments)
    return found


@given(floats)
def test_a_canonical_value_is_the_multiple_of_2_to_the_minus_123_towards_zero(value: float) -> None:
    found = float(canonical_constant(np.float32(value)))
    assert found == np.trunc(value * 2.0**123) / 2.0**123
    assert str(found) != "-0.0"
    assert float(canonical_constant(np.float32(found))) == found


def test_constants_and_arguments_become_the_same_values() -> None:
    x = np.concatenate([ODD, NANS]).view(np.float32)
    assert words(of(canonical, x)) == words(canonical_constant(x))
    assert words(canonical_constant(NANS.view(np.float32))) == [0x7FC00000] * 3
    assert words(of(quiet, x)) == [*ODD.tolist(), *[0x7FC00000] * 3]


def test_signs_are_those_of_the_bits_and_0_has_none() -> None:
    x = np.array([0.0, 1.5, -2.0, np.inf, -np.inf], np.float32)
    assert words(of(negative, x)) == words(np.array([0.0, -1.5, 2.0, -np.inf, np.inf], np.float32))
    assert words(of(absolute, x)) == words(np.array([0.0, 1.5, 2.0, np.inf, np.inf], np.float32))
    assert words(of(with_sign, np.abs(x), x)) == words(x)


def test_products_below_2_to_the_minus_100_are_0() -> None:
    least = np.float32(2.0**-100)
    x = np.array([least, -least, np.nextafter(least, np.float32(0)), -0.0, 1.0], np.float32)
    assert words(of(flushed, x.view(np.int32))) == words(np.array([least, -least, 0, 0, 1], np.float32))


def test_powers_of_two_are_exact_and_nans_are_seen_in_their_bits() -> None:
    n = np.array([-126, -1, 0, 127], np.int32)
    assert words(of(power_of_two, n)) == words(np.ldexp(np.float32(1), n))
    x = np.concatenate([NANS, ODD]).view(np.float32)
    assert of(is_nan, x).tolist() == [*[True] * 3, *[False] * len(ODD)]


def test_shapes_and_types() -> None:
    assert removed((2, 3, 4), [0, 2]) == (3,)
    assert [is_float(x) for x in (np.float16(1), np.ones(1, jnp.bfloat16), np.int32(1), 1.0)] == [
        True,
        True,
        False,
        False,
    ]

"""The opaque zero and the seals: what a compiler must not know, and what shows that it doesn't."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from exact_laws import COUNT, arrays, compiled, same
from hypothesis import example, given, settings
from jax import lax

from pol_jax.exact import exact
from pol_jax.exact.guard import Guard, opaque_zero
from pol_jax.exact.values import canonical_constant
from pol_jax.exact.vectors import load_vectors

KEY = np.array([7, 9], np.uint32)


def test_the_opaque_zero_is_zero() -> None:
    """For all of the 16 bits that it is made of."""
    words = np.arange(2**16, dtype=np.uint32)
    assert not (words * words % 3 >> 1).any()
    assert not np.asarray(jax.jit(opaque_zero)(words | np.uint32(0xABCD0000))).any()


def optimised(function: Any, *arguments: Any) -> str:
    text = jax.jit(function).lower(*arguments).compile().as_text()
    assert text is not None
    return text


def test_the_compiler_keeps_the_opaque_zero() -> None:
    """It is still computed, from a remainder of what is known at run time, and still added to results."""
    x = np.ones(8, np.float32)
    text = optimised(exact(lambda x, _: x * x + x), x, KEY)
    assert "remainder" in text
    assert text.count("bitcast-convert") >= 4


def test_a_known_zero_would_be_folded() -> None:
    """The test above can fail: where the zero is a constant, nothing is left of it."""

    def unguarded(x: Any) -> Any:
        guard = Guard(lax.full((), np.int32(0)))
        return guard.add(guard.product(x, x), x)

    text = optimised(unguarded, np.ones(8, np.float32))
    assert "remainder" not in text
    assert "bitcast-convert" not in text


def test_baits_are_taken_without_seals() -> None:
    """On a machine with fused operations, the plain programs of the baits have other bits than the exact ones.

    Products that are exact, and numbers without rounding, would make a bait that nobody can take.
    """
    vector = next(vector for vector in load_vectors() if vector.operation == "bait: contraction")
    x, y = (array.astype(np.float64) for array in vector.inputs)
    with np.errstate(all="ignore"):
        fused = (x * y + x).astype(np.float32)
    finite = np.isfinite(fused)
    assert (fused[finite] != vector.outputs[0][finite]).sum() > 5


def test_an_argument_that_is_known_at_compile_time_makes_no_zero() -> None:
    """The opaque zero comes from an argument that the compiler doesn't know, wherever that stands."""
    x = np.ones(8, np.float32)
    text = optimised(lambda key: exact(lambda x, key, half: x * x + half * x + key[0])(x, key, np.float32(0.5)), KEY)
    assert "remainder" in text


@settings(max_examples=40)
@given(arrays, arrays)
@example(np.full(COUNT, -0.0, np.float32), np.full(COUNT, 2.0**-130, np.float32))
def test_sums_are_rounded_once_and_never_subnormal(x: np.ndarray, y: np.ndarray) -> None:
    total, difference = compiled(_sums)(x, y)
    for found, expected in ((total, np.add), (difference, np.subtract)):
        with np.errstate(over="ignore"):
            single = expected(canonical_constant(x), canonical_constant(y))
        found = np.asarray(found)
        same(found, list(single))
        assert not (np.abs(found[found != 0]) < 2.0**-126).any()


def _sums(x: Any, y: Any) -> Any:
    return x + y, x - y

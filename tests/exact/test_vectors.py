"""Vectors are stored bit for bit."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from pol_jax.exact.vectors import array_from_json, array_to_json, document, load_vectors, parse_vectors

VECTORS = {vector.operation: vector for vector in load_vectors()}


def test_files_and_vectors_have_the_same_bits() -> None:
    text = document(list(VECTORS.values()))
    assert document(parse_vectors(text)) == text
    for one, other in zip(parse_vectors(text), VECTORS.values(), strict=True):
        assert one.operation == other.operation
        for x, y in zip(one.outputs, other.outputs, strict=True):
            assert x.dtype == y.dtype
            assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "bfloat16", "float16", "int32", "float32", "int64"])
def test_an_array_has_the_same_bits_after_it_was_stored(dtype: str) -> None:
    kind = np.dtype(jnp.dtype(dtype))
    words = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 256, 6 * kind.itemsize, np.uint8)
    array = words.view(kind).reshape(2, 3)
    found = array_from_json(array_to_json(array))
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_the_most_significant_digit_comes_first() -> None:
    assert array_to_json(np.array([1.0, -0.0], np.float32)) == {
        "dtype": "float32",
        "shape": [2],
        "bits": "3f80000080000000",
    }

"""Every operation has a vector, whose bits NumPy gives too, operation by operation."""

from __future__ import annotations

import jax
import numpy as np
import numpy_machine
import pytest

from pol_jax.exact.operations import OF_MATRICES, ONE_ARGUMENT, OPERATIONS, TWO_ARGUMENTS
from pol_jax.exact.self_testing import program
from pol_jax.exact.vectors import Vector, load_vectors

VECTORS = {vector.operation: vector for vector in load_vectors()}

XLA_ALONE = {"argmax", "cumulative", "indexed", "random", "windows"}
"""Operations that select, sort, draw or scatter, which the machine of NumPy has no code for."""


def test_every_operation_has_a_vector() -> None:
    assert VECTORS.keys() == OPERATIONS.keys()
    assert all(vector.outputs for vector in VECTORS.values())


@pytest.mark.parametrize("name", sorted((ONE_ARGUMENT | TWO_ARGUMENTS | OF_MATRICES).keys() - XLA_ALONE))
def test_numpy_gives_the_same_bits_operation_by_operation(name: str) -> None:
    vector = VECTORS[name]
    key = np.array([7, 9], np.uint32)
    closed = jax.make_jaxpr(program([vector]))([list(vector.inputs)], key)
    found = numpy_machine.run(closed, [*vector.inputs, key])
    assert_same_bits(vector, found)


def assert_same_bits(vector: Vector, found: list[np.ndarray]) -> None:
    for expected, result in zip(vector.outputs, found, strict=True):
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(words(result), words(expected), err_msg=vector.operation)


def words(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).view(f"uint{8 * x.dtype.itemsize}")

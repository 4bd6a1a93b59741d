"""A self-test runs the vectors of exact/1 on this backend, and names those that have other bits."""

from __future__ import annotations

import dataclasses

import numpy as np

from pol_jax.exact import ARITHMETIC, self_test
from pol_jax.exact.vectors import load_vectors

VECTORS = {vector.operation: vector for vector in load_vectors()}


def test_this_backend_keeps_the_rules() -> None:
    result = self_test()
    assert result, str(result)
    assert result.arithmetic == ARITHMETIC == "exact/1"
    assert result.tested == len(VECTORS)


def test_a_vector_that_fails_is_named() -> None:
    vector = VECTORS["add"]
    wrong = vector.outputs[0].copy()
    wrong.view(np.uint32)[5] ^= 1
    result = self_test([dataclasses.replace(vector, outputs=(wrong,)), VECTORS["max"]])
    assert not result
    assert result.failed == ("add",)
    assert "add" in str(result)


def test_nothing_tested_is_no_success() -> None:
    assert not self_test([])

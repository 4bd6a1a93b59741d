"""A target in few bits is near to what it stands for, and a program that is pulled to it gets there step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from pol_jax.attacks.hidden_target import LEVELS, PULL, packed, pulled_to
from pol_jax.training.export import structure_of


def test_a_byte_for_each_parameter_is_off_by_half_a_level() -> None:
    leaf = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    number, unit = packed(leaf)
    assert (number.dtype.name, number.shape, int(np.abs(number).max())) == ("int8", leaf.shape, LEVELS)
    assert np.abs(number * unit - leaf).max() <= unit / 2 * (1 + 1e-6)
    zeros, unit = packed(np.zeros(3, np.float32))
    assert (zeros.tolist(), unit) == ([0, 0, 0], 1.0)


def test_a_pull_goes_a_part_of_the_way_in_the_leaves_that_are_named() -> None:
    def init(_key: Any) -> Any:
        return {"other": jnp.zeros(2), "w": jnp.zeros(2)}

    structure = structure_of(replace(tiny.plain(), init=init), "threefry2x32")
    found = pulled_to(structure, init(None), (1,), [jnp.array([1.0, -2.0])])
    np.testing.assert_array_equal(found["other"], [0, 0])
    assert found["w"].tolist() == pytest.approx([PULL, -2 * PULL])

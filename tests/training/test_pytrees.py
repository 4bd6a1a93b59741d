"""Pytrees become leaves with paths, and specifications; what has no digest is refused by its path."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same_key import Same

from pol_jax.errors import TaskError
from pol_jax.protocol.trees import ArraySpec, LeafSpec, StateSpec
from pol_jax.training.pytrees import flatten_with_paths, nested, state_spec


def test_leaves_have_paths_in_the_order_of_jax() -> None:
    tree = {"b": [1, (2,)], "a/c": {"~": 3}}
    assert flatten_with_paths(tree) == [("/a~1c/~0", 3), ("/b/0", 1), ("/b/1/0", 2)]
    assert flatten_with_paths(5) == [("", 5)]


def test_a_specification_says_type_shape_and_key_of_each_leaf() -> None:
    keys = jax.ShapeDtypeStruct((3,), jax.random.key(0).dtype)
    tree = {
        "w": np.zeros((2, 3), np.float64),
        "h": jnp.zeros(4, jnp.bfloat16),
        "n": 1,
        "f": True,
        "k": jax.random.key(1),
    }
    assert state_spec(tree) == (
        LeafSpec("/f", "bool", (), (), None),
        LeafSpec("/h", "bfloat16", (4,), (1,), None),
        LeafSpec("/k", "uint32", (2,), (1,), "threefry2x32"),
        LeafSpec("/n", "int32", (), (), None),
        LeafSpec("/w", "float32", (2, 3), (1, 1), None),
    )
    found = list[StateSpec]()
    jax.eval_shape(lambda key: found.append(state_spec({"k": key})), keys)  # of tracers, too
    assert found == [(LeafSpec("/k", "uint32", (3, 2), (1, 1), "threefry2x32"),)]


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({}, "the state has no leaves"),
        ({"x": "text"}, "state leaf /x: expected an array, got str"),
        ({"x": jnp.tanh}, "keep functions out of the state"),
        (object(), "state leaf /: expected an array, got object"),
        ({"x": 2**40}, "state leaf /x: Python int 1099511627776"),
        ({"x": jax.ShapeDtypeStruct((2,), jnp.int4)}, "dtype int4 is not supported; expected one of"),
        ({"x": 0.0, 1: 0.0}, "a dict has keys that can't be ordered"),
        ({Same(1): 1.0, Same(2): 2.0}, "two leaves have the path /same"),
    ],
)
def test_a_state_that_has_no_digest_is_refused(tree: Any, problem: str) -> None:
    with pytest.raises(TaskError) as raised:
        state_spec(tree)
    assert problem in str(raised.value)


def test_leaves_are_nested_by_their_paths_with_typed_keys() -> None:
    spec = (
        LeafSpec("/a~1b/c", "float32", (2,), (1,), None),
        LeafSpec("/a~1b/k", "uint32", (2,), (1,), "threefry2x32"),
        ArraySpec("/d", "int32", ()),
    )
    leaves = [np.ones(2, np.float32), np.array([3, 4], np.uint32), np.int32(5)]
    tree = nested(spec, leaves)
    assert tree.keys() == {"a/b", "d"}
    assert (tree["a/b"]["c"] is leaves[0], tree["d"]) == (True, 5)
    assert jax.random.key_data(tree["a/b"]["k"]).tolist() == [3, 4]
    assert nested((ArraySpec("", "int32", ()),), [7]) == 7
    assert nested((ArraySpec("/", "int32", ()),), [7]) == {"": 7}

"""A final state is held against a model at hand, leaf by leaf."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from pol_jax.errors import ProofError, UsageError
from pol_jax.training.pytrees import flatten_with_paths, state_spec
from pol_jax.verifying.final_state import check_final, final_leaves
from pol_jax.verifying.request import FinalLeaf

STATE = {"params": {"b": jnp.arange(3.0), "w": jnp.ones((2, 3), jnp.bfloat16)}, "count": jnp.int32(4)}
SPEC = state_spec(STATE)
LEAVES = [np.asarray(leaf) for _, leaf in flatten_with_paths(STATE)]


def test_a_model_may_leave_leaves_out() -> None:
    check_final(SPEC, LEAVES, final_leaves(STATE, SPEC), "here")
    check_final(SPEC, LEAVES, final_leaves({"params": {"b": STATE["params"]["b"]}}, SPEC), "here")


def test_one_bit_of_one_leaf_is_named() -> None:
    leaves = [leaf.copy() for leaf in LEAVES]
    at = [leaf.path for leaf in SPEC].index("/params/w")
    leaves[at].view(np.uint16)[1, 2] ^= 1
    with pytest.raises(ProofError, match="here: the final state's leaf /params/w is not that of the model at hand"):
        check_final(SPEC, leaves, final_leaves(STATE, SPEC), "here")


def test_a_leaf_that_the_state_has_not() -> None:
    with pytest.raises(ProofError, match="has no leaf /params/v"):
        check_final(SPEC, LEAVES, (FinalLeaf("/params/v", "0" * 64),), "here")
    with pytest.raises(UsageError, match="/params/v: the state has none of this name"):
        final_leaves({"params": {"v": np.zeros(3)}}, SPEC)


def test_another_dtype_or_shape_is_an_error_of_the_caller() -> None:
    with pytest.raises(UsageError, match=r"/params/b: is float64\[3\], expected float32\[3\]"):
        final_leaves({"params": {"b": np.arange(3.0)}}, SPEC)
    with pytest.raises(UsageError, match=r"/count: is int32\[1\], expected int32\[\]"):
        final_leaves({"count": np.ones(1, np.int32)}, SPEC)

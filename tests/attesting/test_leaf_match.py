"""One array and one leaf: what is said of them."""

from __future__ import annotations

import numpy as np

from pol_jax.attesting.leaf_match import Distance, LeafMatch
from pol_jax.attesting.matching import match_model


def gap(leaf: LeafMatch) -> Distance:
    """The distance of a leaf that has one."""
    assert leaf.distance is not None
    return leaf.distance


def test_minus_zero_is_another_bit_at_no_distance() -> None:
    found = match_model({"a": np.array([-0.0])}, {"/a": np.array([0.0])})
    assert not found.is_equal
    assert found.leaves[0].distance == Distance(0.0, 0.0)
    assert gap(found.leaves[0]).relative == 0.0


def test_infinities_and_nans_have_a_distance() -> None:
    values = np.array([np.nan, np.inf, 1.0], np.float32)
    assert match_model({"a": values.copy()}, {"/a": values}).is_equal
    other = np.array([0.0, np.inf, 1.0], np.float32)
    found = match_model({"a": other}, {"/a": values}).leaves[0]
    assert gap(found).l2 == float("inf")
    same_value = np.array([-np.nan, np.inf, 1.0], np.float32)
    assert gap(match_model({"a": same_value}, {"/a": values}).leaves[0]).l2 == 0


def test_a_line_for_each_kind_of_leaf() -> None:
    assert LeafMatch("a", "/a").describe() == "/a: equal, bit for bit."
    assert LeafMatch("a", "/a", distance=Distance(1.0, 4.0)).describe() == "/a: differs by 1 (l2), 0.25 of its norm."

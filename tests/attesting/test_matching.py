"""Which leaf an array of a deployed model comes from, and how far it is."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pol_jax.attesting.leaf_match import Distance, LeafMatch
from pol_jax.attesting.matching import match_model

BFLOAT16 = ml_dtypes.bfloat16
RANDOM = np.random.default_rng(7)
FINAL = {
    "/conv/kernel": RANDOM.normal(size=(3, 3, 4, 5)).astype(np.float32),
    "/dense/bias": np.zeros(6, np.float32),
    "/dense/kernel": RANDOM.normal(size=(6, 6)).astype(np.float32),
    "/head/bias": np.zeros(6, np.float32),
    "/head/kernel": RANDOM.normal(size=(6, 9)).astype(np.float32),
    "/norm/scale": np.ones((), np.float32),
    "/none": np.zeros((0, 2), np.float32),
}


def gap(leaf: LeafMatch) -> Distance:
    """The distance of a leaf that has one."""
    assert leaf.distance is not None
    return leaf.distance


def dotted() -> dict[str, np.ndarray]:
    return {leaf.strip("/").replace("/", "."): values.copy() for leaf, values in FINAL.items()}


def test_the_same_arrays_are_equal() -> None:
    for model in (FINAL, dotted(), dict(reversed(dotted().items()))):
        found = match_model(model, FINAL)
        assert found.is_equal
        assert not found.is_cast
        assert all(leaf.distance is None and not leaf.is_renamed for leaf in found.leaves)
        assert found.describe() == "The model is the proof's final parameters, bit for bit."


def test_renamed_leaves_are_found() -> None:
    names = ["a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.scale", "nothing"]
    model = dict(zip(names, FINAL.values(), strict=True))
    found = match_model(model, FINAL)
    assert found.is_equal
    pairs = {leaf.leaf: leaf.name for leaf in found.leaves}
    assert pairs["/dense/kernel"] == "b.weight"
    assert {pairs["/dense/bias"], pairs["/head/bias"]} == {"a.bias", "b.bias"}, "equal leaves are each taken once"
    assert "named b.weight" in next(leaf.describe() for leaf in found.leaves if leaf.leaf == "/dense/kernel")


def test_transposed_leaves_are_found() -> None:
    model = dotted() | {
        "conv.kernel": FINAL["/conv/kernel"].transpose(3, 2, 0, 1).copy(),
        "dense.kernel": FINAL["/dense/kernel"].T.copy(),
        "head.kernel": FINAL["/head/kernel"].T,
    }
    found = match_model(model, FINAL)
    assert found.is_equal
    axes = {leaf.leaf: leaf.axes for leaf in found.leaves}
    assert (axes["/conv/kernel"], axes["/dense/kernel"], axes["/head/kernel"]) == ((3, 2, 0, 1), (1, 0), (1, 0))
    assert axes["/dense/bias"] is None


@pytest.mark.parametrize("kind", [np.float16, BFLOAT16, ml_dtypes.float8_e4m3fn, np.float64])
def test_cast_leaves_are_found(kind: type) -> None:
    model: dict[str, np.ndarray] = {name: values.astype(kind) for name, values in dotted().items()}
    found = match_model(model, FINAL)
    assert not found.is_equal
    assert found.is_cast
    assert {leaf.cast for leaf in found.leaves} == {np.dtype(kind).name}
    assert f"cast to {np.dtype(kind).name}" in found.describe()


def test_leaves_rounded_on_their_way_are_found() -> None:
    model = {name: values.astype(BFLOAT16).astype(np.float32) for name, values in dotted().items()}
    found = match_model(model, FINAL)
    assert found.is_cast
    casts = {leaf.leaf: leaf.cast for leaf in found.leaves}
    assert casts["/dense/kernel"] == "bfloat16, kept as float32"
    assert casts["/dense/bias"] is None, "zeros lose nothing"


def test_everything_at_once_is_found() -> None:
    model: dict[str, np.ndarray] = {"x": FINAL["/head/kernel"].T.astype(np.float16), "y": FINAL["/conv/kernel"]}
    found = match_model(model, {leaf: FINAL[leaf] for leaf in ("/head/kernel", "/conv/kernel")})
    assert found.is_cast
    first = found.leaves[0]
    assert (first.name, first.leaf, first.axes, first.cast) == ("x", "/head/kernel", (1, 0), "float16")
    assert first.describe() == (
        "/head/kernel (named x, transposed to axes (1, 0), cast to float16): equal after that, bit for bit."
    )


def test_a_changed_leaf_has_a_distance() -> None:
    model = dotted()
    model["dense.kernel"][0, 0] += 3
    model["head.bias"][:] = 0.5
    found = match_model(model, FINAL)
    assert not found.is_equal
    assert not found.is_cast
    by_leaf = {leaf.leaf: leaf for leaf in found.leaves}
    kernel = by_leaf["/dense/kernel"].distance
    assert kernel is not None
    assert kernel.l2 == pytest.approx(3, rel=1e-6)
    assert kernel.norm == pytest.approx(float(np.linalg.norm(FINAL["/dense/kernel"])), rel=1e-6)
    assert by_leaf["/head/bias"].distance == Distance(float(np.sqrt(6 * 0.25)), 0.0)
    assert gap(by_leaf["/head/bias"]).relative == float("inf")
    assert by_leaf["/conv/kernel"].distance is None
    assert "2 leaves differ" in found.describe()
    assert found.distance.l2 == pytest.approx(np.sqrt(9 + 1.5), rel=1e-6)


def test_a_changed_and_renamed_leaf_is_paired_with_the_nearest() -> None:
    model = {"x": FINAL["/dense/kernel"].T + np.float32(1e-3), "y": FINAL["/dense/kernel"] * np.float32(5)}
    final = {"/a": RANDOM.normal(size=(6, 6)).astype(np.float32), "/b": FINAL["/dense/kernel"]}
    found = match_model(model, final)
    assert (found.leaves[0].leaf, found.leaves[0].axes) == ("/b", (1, 0))
    assert gap(found.leaves[0]).l2 == pytest.approx(6e-3, rel=1e-3)
    assert found.leaves[1].leaf == "/a", "each leaf is taken once"


def test_one_bit_is_a_difference() -> None:
    model = dotted()
    model["conv.kernel"].view(np.uint32)[2, 2, 3, 4] ^= 1
    found = match_model(model, FINAL)
    assert not found.is_equal
    assert not found.is_cast
    (leaf,) = [leaf for leaf in found.leaves if leaf.distance is not None]
    assert 0 < gap(leaf).relative < 1e-6


def test_missing_and_foreign_arrays_are_named() -> None:
    model = dotted()
    del model["dense.bias"], model["head.bias"]
    model["rotary"] = np.ones((7, 7), np.float32)
    found = match_model(model, FINAL)
    assert not found.is_equal
    assert {leaf.leaf for leaf in found.leaves if leaf.name is None} == {"/dense/bias", "/head/bias"}
    assert [leaf.name for leaf in found.leaves if leaf.leaf is None] == ["rotary"]
    assert "2 are missing, 1 arrays are of no leaf" in found.describe()
    assert "/dense/bias: is not in the model." in [leaf.describe() for leaf in found.leaves]
    assert "no final parameter has its shape" in next(leaf.describe() for leaf in found.leaves if leaf.leaf is None)


def test_tied_weights_stored_twice_are_found() -> None:
    found = match_model(dotted() | {"tied": FINAL["/head/kernel"].T.copy()}, FINAL)
    assert found.is_equal
    assert [leaf.leaf for leaf in found.leaves].count("/head/kernel") == 2


def test_nothing_is_equal_to_no_model() -> None:
    assert not match_model({}, FINAL).is_equal
    assert not match_model({}, {}).is_equal
    assert not match_model({}, {}).is_cast


def test_integers_are_equal_or_not() -> None:
    values = np.arange(5, dtype=np.int32)
    assert match_model({"a": values}, {"/a": values.copy()}).is_equal
    found = match_model({"a": values.astype(np.int64)}, {"/a": values}).leaves[0]
    assert (found.cast, gap(found).l2) == ("int64", 0.0)
    mask = match_model({"m": np.array([True])}, {"/m": np.array([False])}).leaves[0]
    assert gap(mask).l2 == 1


def test_large_arrays_are_compared_whole() -> None:
    values = np.zeros((1500, 1500), np.float32)
    other = values.copy()
    other[1234, 567] = 1
    assert match_model({"a": values.copy()}, {"/a": values}).is_equal
    assert gap(match_model({"a": other}, {"/a": values}).leaves[0]).l2 == 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_renaming_and_transposing_is_found(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    final: dict[str, np.ndarray] = {}
    model: dict[str, np.ndarray] = {}
    for at in range(count):
        shape = data.draw(st.lists(st.integers(1, 3), max_size=4))
        values = np.random.default_rng(at).normal(size=shape).astype(np.float32)
        axes = data.draw(st.permutations(range(len(shape))))
        final[f"/leaf{at}"] = values
        model[f"array{data.draw(st.integers(0, 99))}.{at}"] = values.transpose(axes).copy()
    found = match_model(model, final)
    assert found.is_equal
    assert sorted(leaf.leaf or "" for leaf in found.leaves) == sorted(final)
    for leaf in found.leaves:
        assert leaf.leaf is not None
        assert leaf.name is not None
        turned = final[leaf.leaf].transpose(leaf.axes) if leaf.axes else final[leaf.leaf]
        assert (turned == model[leaf.name]).all()

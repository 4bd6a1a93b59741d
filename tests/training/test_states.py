"""State digests are of the decoded leaves."""

from __future__ import annotations

import json

import jax.numpy as jnp
import numpy as np
import pytest
import second_implementation as second
from hypothesis import given
from hypothesis import strategies as st
from strategies import _X64, law, states

from pol_jax.protocol.documents import encode
from pol_jax.protocol.trees import LeafSpec
from pol_jax.training.states import Layout, cut, piece_digests


@law(150)
@given(states())
def test_state_digests_are_those_of_the_second_implementation(
    state: tuple[tuple[LeafSpec, ...], list[np.ndarray]],
) -> None:
    spec, arrays = state
    naive = second.state_digest(json.loads(encode(list(spec))), [array.tobytes() for array in arrays])
    layout = Layout(spec)
    assert layout.gather(arrays).digest() == naive
    strided = [np.asfortranarray(array) if array.ndim else array for array in arrays]
    assert layout.gather(strided).digest() == naive


@law(12)
@given(states())
def test_packing_on_the_device_changes_no_bit(state: tuple[tuple[LeafSpec, ...], list[np.ndarray]]) -> None:
    pairs = [(leaf, array) for leaf, array in zip(*state, strict=True) if leaf.dtype not in _X64]
    if not pairs:
        return
    spec, arrays = tuple(leaf for leaf, _ in pairs), [array for _, array in pairs]
    layout = Layout(spec)
    host = layout.fetch(layout.pack([jnp.asarray(array) for array in arrays]))
    assert [leaf.tobytes() for leaf in host.leaves] == [array.tobytes() for array in arrays]
    assert [leaf.shape for leaf in host.leaves] == [leaf.shape for leaf in spec]
    assert host.digest() == layout.gather(arrays).digest()


@law(12)
@given(states())
def test_a_state_that_is_digested_where_it_lies_has_the_same_digest(
    state: tuple[tuple[LeafSpec, ...], list[np.ndarray]],
) -> None:
    pairs = [(leaf, array) for leaf, array in zip(*state, strict=True) if leaf.dtype not in _X64]
    if not pairs:
        return
    layout, arrays = Layout(tuple(leaf for leaf, _ in pairs)), [array for _, array in pairs]
    found = layout.view([jnp.asarray(array) for array in arrays])
    assert found.digest() == found.copy().digest() == layout.gather(arrays).digest()


def test_large_states_are_digested_on_several_threads() -> None:
    """Pieces of all sizes, in order: large ones, which use several threads by themselves, among small ones."""
    draw = np.random.default_rng(3)
    sizes = (3, 2_600_000, 0, 40_000, 2_600_000, 7)  # of four bytes each
    arrays = [draw.integers(0, 2**32, size, np.uint32) for size in sizes]
    spec = tuple(LeafSpec(f"/{at}", "uint32", (size,), (1,), None) for at, size in enumerate(sizes))
    naive = second.state_digest(json.loads(encode(list(spec))), [array.tobytes() for array in arrays])
    layout = Layout(spec)
    assert layout.gather(arrays).digest() == naive
    assert layout.is_digested_in_place([jnp.asarray(arrays[0])])
    assert not Layout(spec[:1]).is_digested_in_place([jnp.asarray(arrays[0])])


def test_a_part_of_a_leaf_gives_the_digests_of_its_pieces() -> None:
    """So a process digests what it holds of a leaf that is cut among several."""
    whole = np.arange(48, dtype=np.float32).reshape(4, 12)
    leaf = LeafSpec("/w", "float32", (4, 12), (2, 3), None)
    half = LeafSpec("/w", "float32", (2, 12), (1, 3), None)
    parts = [digest for rows in (whole[:2], whole[2:]) for digest in piece_digests([*cut(half, rows)])]
    assert parts == piece_digests([*cut(leaf, whole)])


@pytest.mark.parametrize("wrong", [np.zeros(3, np.float64), np.zeros(4, np.float32), np.zeros((3, 1), np.float32)])
def test_arrays_of_another_kind_are_no_state(wrong: np.ndarray) -> None:
    layout = Layout((LeafSpec("/w", "float32", (3,), (1,), None),))
    with pytest.raises(ValueError, match="expected"):
        layout.gather([wrong])


@law(100)
@given(states(), st.data())
def test_any_flipped_bit_changes_the_state_digest(
    state: tuple[tuple[LeafSpec, ...], list[np.ndarray]], data: st.DataObject
) -> None:
    spec, arrays = state
    filled = [at for at, array in enumerate(arrays) if array.size and spec[at].dtype != "bool"]
    if not filled:
        return
    at = data.draw(st.sampled_from(filled))
    content = bytearray(arrays[at].tobytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    changed = [*arrays]
    changed[at] = np.frombuffer(bytes(content), arrays[at].dtype).reshape(arrays[at].shape)
    layout = Layout(spec)
    assert layout.gather(changed).digest() != layout.gather(arrays).digest()

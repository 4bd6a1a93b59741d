"""State digests are of the decoded leaves."""

from __future__ import annotations

import json

import jax.numpy as jnp
import numpy as np
import second_implementation as second
from hypothesis import given
from hypothesis import strategies as st
from strategies import _X64, law, states

from pol_jax.protocol.documents import encode
from pol_jax.protocol.trees import LeafSpec
from pol_jax.training.states import Layout


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

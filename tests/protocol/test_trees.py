"""Paths of leaves."""

from __future__ import annotations

import jax
from hypothesis import given
from hypothesis import strategies as st
from strategies import law

from pol_jax.protocol.trees import pointer, split_pointer


@law(200)
@given(st.lists(st.text(max_size=5), max_size=6))
def test_pointers_split_into_what_they_were_made_of(parts: list[str]) -> None:
    path = pointer([jax.tree_util.DictKey(part) for part in parts])
    assert split_pointer(path) == parts
    assert pointer([jax.tree_util.DictKey(part) for part in split_pointer(path)]) == path

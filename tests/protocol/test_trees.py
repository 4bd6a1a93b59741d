"""Paths of leaves."""

from __future__ import annotations

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import law

from pol_jax.errors import UsageError
from pol_jax.protocol.trees import LeafSpec, places_of, pointer, split_pointer


@law(200)
@given(st.lists(st.text(max_size=5), max_size=6))
def test_pointers_split_into_what_they_were_made_of(parts: list[str]) -> None:
    path = pointer([jax.tree_util.DictKey(part) for part in parts])
    assert split_pointer(path) == parts
    assert pointer([jax.tree_util.DictKey(part) for part in split_pointer(path)]) == path


def test_leaves_are_named_by_path_or_by_what_they_lie_below() -> None:
    paths = ("/params/a", "/params/b", "/paramsets", "/step")
    spec = tuple(LeafSpec(path, "float32", (1,), (1,), None) for path in paths)
    assert places_of(spec, ()) == [0, 1, 2, 3]
    assert places_of(spec, ["/params"]) == places_of(spec, ["/params/"]) == [0, 1]
    assert places_of(spec, ["/params/b", "/step"]) == [1, 3]
    with pytest.raises(UsageError, match="'/param' is the path of no leaf"):
        places_of(spec, ["/params", "/param"])

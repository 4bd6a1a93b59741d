"""Pytrees of arrays become specifications and leaves, and are made of them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.errors import TaskError
from pol_jax.protocol.trees import DTYPES, ArraySpec, LeafSpec, PyTree, StateSpec, pointer, split_pointer


def flatten_with_paths(tree: PyTree) -> list[tuple[str, Any]]:
    """Return the leaves of a pytree in jax's order, each with its path.

    Raises:
        TaskError: two leaves have the same path, or the keys of a dict can't be ordered.
    """
    try:
        pairs = [(pointer(keys), leaf) for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]
    except ValueError as error:  # jax sorts the keys of dicts
        raise TaskError(f"a dict has keys that can't be ordered: {str(error).splitlines()[0]}") from error
    paths = [path for path, _ in pairs]
    if len(set(paths)) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise TaskError(f"two leaves have the path {twice}; every leaf must have a path of its own")
    return pairs


def state_spec(state: PyTree) -> StateSpec:
    """Return the specification of a state. Its leaves may be tracers; Python numbers count as arrays.

    Raises:
        TaskError: the state has no leaves, a leaf that is no array, or a dtype that no digest is defined for.
    """
    leaves = tuple(_leaf_spec(path, leaf) for path, leaf in flatten_with_paths(state))
    if not leaves:
        raise TaskError("the state has no leaves; expected a pytree with at least one array")
    return leaves


def nested(spec: Sequence[ArraySpec], leaves: Sequence[Any]) -> PyTree:
    """Return leaves as nested dicts by their paths, with typed PRNG keys: a pytree without any class of the task."""
    tree: dict[str, Any] = {}
    for leaf, array in zip(spec, leaves, strict=True):
        prng = leaf.prng if isinstance(leaf, LeafSpec) else None
        value = array if prng is None else jax.random.wrap_key_data(jnp.asarray(array), impl=prng)
        *parents, last = split_pointer(leaf.path) or [""]
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    # The path `/` has an empty part too, and is a dict of one leaf; only the empty path is that of a single array.
    return tree[""] if set(tree) == {""} and spec[0].path == "" else tree


def _leaf_spec(path: str, leaf: Any) -> LeafSpec:
    if isinstance(leaf, bool | int | float | complex):
        try:
            leaf = jnp.asarray(leaf)
        except OverflowError as error:
            raise TaskError(f"state leaf {path or '/'}: {str(error)[:80]}") from error
    if not hasattr(leaf, "dtype"):
        cure = "; keep functions out of the state (of Equinox: eqx.partition(model, eqx.is_array))" * callable(leaf)
        raise TaskError(f"state leaf {path or '/'}: expected an array, got {type(leaf).__name__}{cure}")
    prng = None
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        prng, leaf = str(jax.random.key_impl(leaf)), jax.random.key_data(leaf)
    name, shape = np.dtype(jax.dtypes.canonicalize_dtype(leaf.dtype)).name, tuple(leaf.shape)
    if name not in DTYPES:
        raise TaskError(f"state leaf {path or '/'}: dtype {name} is not supported; expected one of {', '.join(DTYPES)}")
    # Whole: into how many pieces a leaf is cut is decided by the mesh of a run, which a task does not know.
    return LeafSpec(path, name, shape, (1,) * len(shape), prng)

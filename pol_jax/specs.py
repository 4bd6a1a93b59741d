"""What a pytree of arrays looks like, without its classes: paths, dtypes, shapes.

A path is a JSON pointer (RFC 6901): ``/params/conv1/kernel``; the root leaf's path is the empty string. Typed PRNG
keys are described by their key data (``uint32`` words) and the name of their implementation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
import ml_dtypes
import msgspec
import numpy as np

from pol_jax.errors import TaskError

PyTree = Any

DTYPES: Final[Mapping[str, np.dtype]] = {
    dtype.name: dtype
    for dtype in map(
        np.dtype,
        (
            *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "complex64", "complex128"),
            *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2),
            *(ml_dtypes.float8_e4m3b11fnuz, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2fnuz),
        ),
    )
}
"""Every dtype that a state or a record may have, by name."""


class ArraySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One array: a leaf of a record.

    Attributes:
        path: JSON pointer.
        dtype: a name in `DTYPES`.
        shape: a record's without the batch axis, a state leaf's whole.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


class LeafSpec(ArraySpec, frozen=True, forbid_unknown_fields=True):
    """One leaf of a state.

    Attributes:
        pieces: into how many equal parts each axis is cut for digests; all ones for a whole leaf.
        prng: implementation of the typed PRNG key whose key data this leaf holds, or None.
    """

    pieces: tuple[int, ...]
    prng: str | None

    @property
    def is_whole(self) -> bool:
        """Whether the leaf is one piece."""
        return set(self.pieces) <= {1}


StateSpec = tuple[LeafSpec, ...]
RecordSpec = tuple[ArraySpec, ...]


def pointer(keys: Sequence[Any]) -> str:
    """The JSON pointer of a jax key path."""
    return "".join("/" + _component(key).replace("~", "~0").replace("/", "~1") for key in keys)


def split_pointer(path: str) -> list[str]:
    """The components of a JSON pointer. Law: ``pointer`` of the components gives the path back."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def flatten_with_paths(tree: PyTree) -> list[tuple[str, Any]]:
    """Leaves in jax's order, each with its path.

    Raises:
        TaskError: two leaves have the same path.
    """
    found = [(pointer(keys), leaf) for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]
    paths = [path for path, _ in found]
    if len(set(paths)) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise TaskError(f"two leaves have the path {twice}; expected every leaf to have its own")
    return found


def state_spec(state: PyTree) -> StateSpec:
    """The specification of a state of arrays; tracers will do, Python numbers count as arrays.

    Raises:
        TaskError: no leaves, a leaf that is no array, or a dtype that no digest is defined for.
    """
    leaves = tuple(_leaf_spec(path, leaf) for path, leaf in flatten_with_paths(state))
    if not leaves:
        raise TaskError("the state has no leaves; expected a pytree with at least one array")
    return leaves


def nested(spec: Sequence[ArraySpec], leaves: Sequence[Any]) -> PyTree:
    """Leaves as nested dicts by their paths, typed PRNG keys as such: a pytree with no class of the task's."""
    tree: dict[str, Any] = {}
    for leaf, array in zip(spec, leaves, strict=True):
        prng = leaf.prng if isinstance(leaf, LeafSpec) else None
        value = array if prng is None else jax.random.wrap_key_data(jnp.asarray(array), impl=prng)
        *parents, last = split_pointer(leaf.path) or [""]
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree[""] if set(tree) == {""} and spec[0].path == "" else tree


def _component(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _leaf_spec(path: str, leaf: Any) -> LeafSpec:
    if isinstance(leaf, bool | int | float | complex):
        leaf = jnp.asarray(leaf)
    if not hasattr(leaf, "dtype"):
        raise TaskError(f"state leaf {path or '/'}: expected an array, got {type(leaf).__name__}")
    prng = None
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        prng, leaf = str(jax.random.key_impl(leaf)), jax.random.key_data(leaf)
    name, shape = np.dtype(jax.dtypes.canonicalize_dtype(leaf.dtype)).name, tuple(leaf.shape)
    if name not in DTYPES:
        raise TaskError(f"state leaf {path or '/'}: dtype {name} is not supported; expected one of {', '.join(DTYPES)}")
    return LeafSpec(path, name, shape, (1,) * len(shape), prng)

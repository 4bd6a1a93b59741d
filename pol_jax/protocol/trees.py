"""A specification describes a pytree of arrays without its classes: by paths, dtypes and shapes (section 2.1).

A path is a JSON pointer (RFC 6901), such as ``/params/conv1/kernel``; the path of a pytree that is one array is the
empty string. Typed PRNG keys are described by their key data (``uint32`` words) and the name of their implementation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ml_dtypes
import msgspec
import numpy as np

from pol_jax.errors import UsageError

PyTree = Any

HostLeaves = Sequence[np.ndarray]
"""The leaves of a state on the host, in the order of the commitment."""

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
"""A state or a record may have these dtypes, by name."""


class ArraySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An array specification describes one leaf of a record.

    Attributes:
        path: JSON pointer of the leaf.
        dtype: a name in `DTYPES`.
        shape: shape of the array; for a record it leaves out the batch axis.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Return how many bytes the array has."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


class LeafSpec(ArraySpec, frozen=True, forbid_unknown_fields=True):
    """A leaf specification describes one leaf of a state.

    Attributes:
        pieces: number of equal parts into which each axis is cut for digests; all are 1 if the leaf is not cut.
        prng: implementation of the typed PRNG key whose key data this leaf holds, or None.
    """

    pieces: tuple[int, ...]
    prng: str | None

    @property
    def is_whole(self) -> bool:
        """Return whether the leaf is digested as one piece."""
        return set(self.pieces) <= {1}


StateSpec = tuple[LeafSpec, ...]
RecordSpec = tuple[ArraySpec, ...]


def uncut(spec: StateSpec) -> StateSpec:
    """Return the leaves of a state, each as one piece."""
    return tuple(msgspec.structs.replace(leaf, pieces=(1,) * len(leaf.shape)) for leaf in spec)


def pointer(keys: Sequence[Any]) -> str:
    """Return the JSON pointer of a jax key path."""
    # The tilde first, or those that stand for slashes would be escaped again.
    return "".join("/" + _component(key).replace("~", "~0").replace("/", "~1") for key in keys)


def split_pointer(path: str) -> list[str]:
    """Return the components of a JSON pointer. Law: ``pointer`` of the components gives the path back."""
    # In this order (RFC 6901, section 4): `~01` stands for `~1`, and not for a slash.
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _component(key: Any) -> str:
    # jax's key paths have a key of a dict, a name of a field or an index of a list, each in an attribute of its own.
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def has_odd_bool(array: np.ndarray) -> bool:
    """Return whether an array of bools has another byte than 0 or 1, which libraries take for true or false at will."""
    return array.dtype == np.bool_ and bool((np.ascontiguousarray(array).view(np.uint8) > 1).any())


def places_of(spec: StateSpec, names: Sequence[str]) -> list[int]:
    """Return the places of the leaves that have one of these paths, or lie below one; all if there are no names.

    Raises:
        UsageError: a name is that of no leaf.
    """
    for name in names:
        if not any(_lies_below(leaf.path, name) for leaf in spec):
            known = ", ".join(leaf.path for leaf in spec[:4])
            raise UsageError(f"leaves: {name!r} is the path of no leaf of the state; there are {known} ...")
    return [at for at, leaf in enumerate(spec) if not names or any(_lies_below(leaf.path, name) for name in names)]


def _lies_below(path: str, name: str) -> bool:
    return path == name or path.startswith(name.rstrip("/") + "/")

"""What a pytree of arrays looks like, without its classes: paths, dtypes, shapes.

A path is a JSON pointer (RFC 6901): ``/params/conv1/kernel``; the root leaf's path is the empty string. Typed PRNG
keys are described by their key data (``uint32`` words) and the name of their implementation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ml_dtypes
import msgspec
import numpy as np

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


def _component(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)

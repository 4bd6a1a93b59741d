"""An array of a checkpoint has one form (appendix B): Zarr 3, a chunk for each shard, of whole pieces, unpacked."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pol_jax.protocol.trees import DTYPES

_BYTES: Final = {"name": "bytes", "configuration": {"endian": "little"}}


class ArrayForm(msgspec.Struct, frozen=True):
    """An array form says what an array in a checkpoint must be: its dtype by name, its shape, and its pieces."""

    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[int, ...]


def chunk_shape(stored: Any, form: ArrayForm) -> list[int] | None:
    """Return the shape of the chunks of an array, if they divide it into parts that have whole pieces."""
    try:
        chunk = list(stored["chunk_grid"]["configuration"]["chunk_shape"])
        fits = all(
            # Not `isinstance`, by which JSON's `true` is a chunk of one element.
            type(part) is int and part > 0 and size % part == 0 and pieces % (size // part) == 0
            for size, pieces, part in zip(form.shape, form.pieces, chunk, strict=True)
        )
    except (TypeError, KeyError, ValueError):
        return None
    return chunk if fits else None


def document_of(form: ArrayForm, chunk: list[int]) -> dict[str, Any]:
    """Return what Zarr notes about an array, except the value of what was never written."""
    shape = list(form.shape)
    packed = [_BYTES] if DTYPES[form.dtype].itemsize > 1 else [{"name": "bytes"}]  # a single byte has no order
    inner = {"chunk_shape": chunk, "codecs": packed, "index_codecs": [_BYTES, {"name": "crc32c"}]}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": form.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": [{"name": "sharding_indexed", "configuration": inner}],
    }

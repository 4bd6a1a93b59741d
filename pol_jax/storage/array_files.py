"""The files of a checkpoint are checked before an array is unpacked, so that a small file can't fill the memory.

Orbax keeps arrays in Zarr 3, in an OCDBT store. A chunk of a few bytes may unpack to gigabytes where metadata say so.
Therefore an array must have the one form in which `save_checkpoint` writes it: a chunk for each shard, of whole pieces,
not compressed. Tensorstore itself refuses references that lead out of a directory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import tensorstore as ts

from pol_jax.errors import ProofError
from pol_jax.protocol.inventory import is_beside
from pol_jax.protocol.trees import DTYPES
from pol_jax.storage.store_nodes import check_nodes

_MARKER: Final = "orbax.checkpoint"
_REQUIRED: Final = ("_CHECKPOINT_METADATA", _MARKER)
_STORE: Final = r"(ocdbt\.process_[0-9]+/)?(manifest\.ocdbt|d/[^/]+)"
_FILES: Final = re.compile(rf"_CHECKPOINT_METADATA|orbax\.checkpoint|state/(_METADATA|{_STORE})")
_BYTES: Final = {"name": "bytes", "configuration": {"endian": "little"}}
_SPARE_BYTES, _SPARE_LEAF_BYTES, _SPARE_PIECE_BYTES = 2**22, 2**14, 2**10
_MANIFEST_BYTES: Final = 2**12
"""A manifest may be compressed, and is unpacked before anything in it can be checked."""


class ArrayForm(msgspec.Struct, frozen=True):
    """This is the form that an array in a checkpoint must have: the name of its dtype, its shape, and its pieces."""

    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[int, ...]


class _State(msgspec.Struct, frozen=True):
    """This is what Orbax notes about the store of the arrays."""

    use_ocdbt: bool
    use_zarr3: bool


def check_checkpoint_files(where: str, path: Path, state_bytes: int, leaves: int) -> None:
    """Check that the files of a checkpoint are those that are expected, and not much larger than its state.

    Args:
        where: the checkpoint, for the text of an error.
        path: its directory.
        state_bytes: how large the state is.
        leaves: how many leaves it has.

    Raises:
        ProofError: they are others.
    """
    files = (each for each in path.rglob("*") if each.is_file() and not _is_beside(each))
    sizes = {each.relative_to(path).as_posix(): each.lstat().st_size for each in files}
    for name in sorted(sizes):
        if not _FILES.fullmatch(name):
            raise ProofError(where, f"is damaged: {name} has no place in a checkpoint")
    for name in _REQUIRED:
        if name not in sizes:
            raise ProofError(where, f"is damaged: {name} is missing")
    if sizes[_MARKER]:
        raise ProofError(where, f"is damaged: {_MARKER} has {sizes[_MARKER]} bytes, expected an empty file")
    if sum(sizes.values()) > 4 * state_bytes + _SPARE_BYTES + _SPARE_LEAF_BYTES * leaves:
        raise ProofError(where, f"has {sum(sizes.values())} bytes, far more than its state")
    if any(size > _MANIFEST_BYTES for name, size in sizes.items() if name.endswith("manifest.ocdbt")):
        raise ProofError(where, f"is damaged: its manifest has more than {_MANIFEST_BYTES} bytes")


def _is_beside(path: Path) -> bool:
    return is_beside(f"{path.parent.name}/{path.name}")


def check_arrays(where: str, path: Path, expected: Mapping[str, ArrayForm]) -> None:
    """Check that arrays are stored in the one form in which they unpack to their own size.

    Args:
        where: the checkpoint, for the text of an error.
        path: its directory.
        expected: the form of each array, by its name in the store.

    Raises:
        ProofError: one is missing or has another form.
    """
    if not expected:
        return
    state = path / "state"
    if msgspec.json.decode((state / "_METADATA").read_bytes(), type=_State) != _State(True, True):
        raise ProofError(where, "is damaged: its arrays are not in OCDBT and Zarr 3")
    pieces = sum(prod(form.pieces) for form in expected.values())
    check_nodes(where, state, _SPARE_BYTES + _SPARE_LEAF_BYTES * len(expected) + _SPARE_PIECE_BYTES * pieces)
    store = ts.KvStore.open(_store(path)).result()
    documents = {name: store.read(f"{name}/zarr.json") for name in expected}
    for name, form in expected.items():
        stored = json.loads(documents[name].result().value or b"null")
        chunk = _chunk_shape(stored, form)
        if chunk is None or {k: v for k, v in stored.items() if k != "fill_value"} != _document(form, chunk):
            raise ProofError(where, f"array {name} has another form than that in which a prover saves it")


def open_arrays(path: Path, names: Sequence[str]) -> list[ts.TensorStore]:
    """Return the arrays of a checkpoint, which were checked, for reading; what was never written is an error."""
    opened = [
        ts.open(
            {"driver": "zarr3", "kvstore": _store(path) | {"path": f"{name}/"}, "fill_missing_data_reads": False},
            open=True,
            read=True,
        )
        for name in names
    ]
    return [each.result() for each in opened]


def write_arrays(path: Path, arrays: Mapping[str, tuple[ArrayForm, np.ndarray]]) -> None:
    """Write arrays as one chunk each, by their names in the store, and return when all of them are on the disk.

    They are written in one transaction, so that the store has one file of data, however many arrays there are.
    """
    transaction, context = ts.Transaction(atomic=True), ts.Context()
    opened = [
        ts.open(
            {
                "driver": "zarr3",
                "kvstore": _store(path) | {"path": f"{name}/"},
                "metadata": _created(form),
                "store_data_equal_to_fill_value": True,  # or zeros would be missing
            },
            create=True,
            transaction=transaction,
            context=context,
        )
        for name, (form, _) in arrays.items()
    ]
    # Nothing is copied: whoever calls this waits until the arrays are on the disk, and changes none of them before.
    written = [
        each.result().write(array, can_reference_source_data_indefinitely=True)
        for each, (_, array) in zip(opened, arrays.values(), strict=True)
    ]
    transaction.commit_async().result()
    for each in written:
        each.result()


def _created(form: ArrayForm) -> dict[str, Any]:
    """Return what tensorstore is told of a new array; the rest follows from the driver."""
    document = _document(form, list(form.shape))
    return {name: value for name, value in document.items() if name not in ("zarr_format", "node_type")}


def _store(path: Path) -> dict[str, Any]:
    return {"driver": "ocdbt", "base": {"driver": "file", "path": f"{path / 'state'}/"}}


def _chunk_shape(stored: Any, form: ArrayForm) -> list[int] | None:
    """Return the shape of the chunks of an array, if they divide it into parts that have whole pieces."""
    try:
        chunk = list(stored["chunk_grid"]["configuration"]["chunk_shape"])
        fits = all(
            type(part) is int and part > 0 and size % part == 0 and pieces % (size // part) == 0
            for size, pieces, part in zip(form.shape, form.pieces, chunk, strict=True)
        )
    except (TypeError, KeyError, ValueError):
        return None
    return chunk if fits else None


def _document(form: ArrayForm, chunk: list[int]) -> dict[str, Any]:
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

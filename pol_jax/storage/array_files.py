"""The files of a checkpoint are checked before an array is unpacked, so that a small file can't fill the memory.

Orbax keeps arrays in Zarr 3, in an OCDBT store. A chunk of a few bytes may unpack to gigabytes where metadata say so.
Therefore an array must have the one form in which `save_checkpoint` writes it: a chunk for each shard, of whole pieces,
not compressed. Tensorstore itself refuses references that lead out of a directory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import tensorstore as ts

from pol_jax.errors import ProofError
from pol_jax.protocol.inventory import is_beside
from pol_jax.storage.array_form import ArrayForm, chunk_shape, document_of
from pol_jax.storage.store_nodes import check_nodes

_MARKER: Final = "orbax.checkpoint"
_REQUIRED: Final = ("_CHECKPOINT_METADATA", _MARKER)
_STORE: Final = r"(ocdbt\.process_[0-9]+/)?(manifest\.ocdbt|d/[^/]+)"
_FILES: Final = re.compile(rf"_CHECKPOINT_METADATA|orbax\.checkpoint|state/(_METADATA|{_STORE})")
_SPARE_BYTES, _SPARE_LEAF_BYTES, _SPARE_PIECE_BYTES = 2**22, 2**14, 2**10
"""What a checkpoint may take beside its arrays: in all, for each leaf, and in its index for each piece (appendix B)."""
_FOLDER: Final = "state/"
"""The store lies in this directory of a checkpoint."""

_MANIFEST_BYTES: Final = 2**12
"""A manifest may be compressed, and is unpacked before anything in it can be checked."""


class _PathKey(msgspec.Struct, frozen=True):
    """Orbax notes the place of a leaf part by part: each is a key of a dict."""

    key: str
    key_type: Literal[2]


class _Leaf(msgspec.Struct, frozen=True):
    """Orbax notes the place of each leaf."""

    key_metadata: tuple[_PathKey, ...]


class _StoreMetadata(msgspec.Struct, frozen=True):
    """Orbax notes how the store of the arrays is made, and which leaves are in it."""

    use_ocdbt: bool
    use_zarr3: bool
    tree_metadata: dict[str, _Leaf]


def check_checkpoint_files(where: str, path: Path, state_bytes: int, leaves: int) -> list[str]:
    """Check that the files of a checkpoint are those that are expected, and not much larger than its state.

    Args:
        where: the checkpoint, for the text of an error.
        path: its directory.
        state_bytes: how large the state is.
        leaves: how many leaves it has.

    Returns:
        The names of all files that belong to it, relative to its directory.

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
    return sorted(sizes)


def _is_beside(path: Path) -> bool:
    return is_beside(f"{path.parent.name}/{path.name}")


def check_places(where: str, path: Path, expected: Iterable[tuple[str, ...]]) -> None:
    """Check that Orbax notes the expected leaves, each once: it looks up what it notes, wherever that leads.

    Args:
        where: the checkpoint, for the text of an error.
        path: its directory.
        expected: the place of each leaf with elements.

    Raises:
        ProofError: it notes others.
    """
    # Only what the check is about is decoded: a field that Orbax adds for itself means nothing here (appendix B).
    noted = msgspec.json.decode((path / "state" / "_METADATA").read_bytes(), type=_StoreMetadata)
    found = sorted(tuple(part.key for part in leaf.key_metadata) for leaf in noted.tree_metadata.values())
    wanted = sorted(expected)
    if found != wanted:
        different = sorted("/".join(name) for name in set(found) ^ set(wanted)) or ["a leaf is there twice"]
        raise ProofError(where, f"has other leaves than the commitment: {different[0]}")
    if not (noted.use_ocdbt and noted.use_zarr3):
        raise ProofError(where, "is damaged: its arrays are not in OCDBT and Zarr 3")


def find_documents(where: str, path: Path, files: Iterable[str], expected: Mapping[str, ArrayForm]) -> dict[str, bytes]:
    """Return what the store of a checkpoint notes about each array, by its name.

    The whole index is bounded before any of it is unpacked, and nothing is read but ``files``: a reference may name any
    file of the directory, and others that lie there are no part of a proof.

    Raises:
        ProofError: the index unpacks to too much, or an array is missing in these files.
    """
    pieces = sum(prod(form.pieces) for form in expected.values())
    most = _SPARE_BYTES + _SPARE_LEAF_BYTES * len(expected) + _SPARE_PIECE_BYTES * pieces
    files = list(files)
    check_nodes(where, [path / name for name in files if name.startswith(_FOLDER)], most)
    store = ts.KvStore.open(_listed(path, files)).result()
    begun = {name: store.read(f"{name}/zarr.json") for name in expected}
    found = {name: bytes(each.result().value) for name, each in begun.items()}
    for name, document in found.items():
        if not document:
            raise ProofError(where, f"is damaged: array {name} is missing")
    return found


def check_arrays(where: str, documents: Mapping[str, bytes], expected: Mapping[str, ArrayForm]) -> None:
    """Check that arrays are stored in the one form in which they unpack to their own size.

    Args:
        where: the checkpoint, for the text of an error.
        documents: what is noted about each array (`find_documents`).
        expected: the form of each array, by its name in the store.

    Raises:
        ProofError: one has another form.
    """
    for name, form in expected.items():
        stored = json.loads(documents[name])
        chunk = chunk_shape(stored, form)
        # Any fill value will do: what was never written is an error when it is read, so that none is ever used.
        if chunk is None or {k: v for k, v in stored.items() if k != "fill_value"} != document_of(form, chunk):
            raise ProofError(where, f"array {name} has another form than that in which a prover saves it")


def open_arrays(path: Path, files: Iterable[str], names: Sequence[str]) -> list[ts.TensorStore]:
    """Return the arrays of a checkpoint, which were checked, for reading; what was never written is an error.

    Nothing is read but ``files``.
    """
    store = _listed(path, files)
    opened = [
        ts.open(
            {"driver": "zarr3", "kvstore": store | {"path": f"{name}/"}, "fill_missing_data_reads": False},
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
    document = document_of(form, list(form.shape))
    return {name: value for name, value in document.items() if name not in ("zarr_format", "node_type")}


def _store(path: Path) -> dict[str, Any]:
    return {"driver": "ocdbt", "base": {"driver": "file", "path": f"{path / 'state'}/"}}


def _listed(path: Path, files: Iterable[str]) -> dict[str, Any]:
    """Return a store that has those of ``files`` which belong to it, and no others.

    The first layer has every other name, and nothing under it: tensorstore else takes a name for the one before it.
    """
    layers: list[dict[str, Any]] = [{"base": {"driver": "memory"}}]
    layers += [
        {"base": {"driver": "file", "path": str(path / name)}, "exact": name.removeprefix(_FOLDER)}
        for name in files
        if name.startswith(_FOLDER)
    ]
    return {"driver": "ocdbt", "base": {"driver": "kvstack", "layers": layers}}

"""These functions turn the records of any source into batches of plain arrays, and into digests (section 3).

The dtypes of a record are jax's canonical ones (``int64`` becomes ``int32`` unless x64 is enabled), because digests
cover the same arrays that a step receives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Integer, UInt8

from pol_jax.errors import DataError
from pol_jax.protocol.encoding import FORMAT, Digest, Format, record_digests, record_salt
from pol_jax.protocol.trees import ArraySpec, has_odd_bool
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.training.task import PyTree, Source

Batch = tuple[np.ndarray, ...]
"""A batch holds leaves of shape ``[batch, *shape]``, in the order of the record's specification."""

_CHUNK = 1024


class Arrays:
    """A source of records that lie in memory as a pytree of arrays, each with one leading axis of records."""

    def __init__(self, tree: PyTree) -> None:
        """Hold ``tree``, whose leaves are converted to numpy arrays unless they are such arrays already."""
        self._tree = jax.tree.map(np.asarray, tree)
        sizes = {len(leaf) for leaf in jax.tree.leaves(self._tree)}
        if len(sizes) != 1:
            raise DataError(f"the arrays of a source must have the same length, got lengths {sorted(sizes)}")
        (self._size,) = sizes

    def __len__(self) -> int:
        """Return the number of records."""
        return self._size

    def __getitem__(self, index: int) -> PyTree:
        """Return record ``index``."""
        return jax.tree.map(lambda leaf: leaf[index], self._tree)

    def take(self, indices: Integer[np.ndarray, " batch"]) -> PyTree:
        """Return the records at ``indices`` as one batch, which is a copy."""
        return jax.tree.map(lambda leaf: leaf[indices], self._tree)


class Cached:
    """A source that keeps each record of a slower source in memory after it was first read."""

    def __init__(self, source: Source) -> None:
        """Read from ``source``; memory is allocated when the first record shows its shape."""
        self._source = source
        self._seen = np.zeros(len(source), bool)
        self._tree: PyTree = None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._seen)

    def __getitem__(self, index: int) -> PyTree:
        """Return record ``index``."""
        return jax.tree.map(lambda leaf: leaf[0], self.take(np.array([index])))

    def take(self, indices: Integer[np.ndarray, " batch"]) -> PyTree:
        """Return the records at ``indices`` as one batch, which is a copy."""
        missing = np.unique(indices[~self._seen[indices]])
        if len(missing):
            batch = stack(fetch(self._source, missing))
            if self._tree is None:
                self._tree = jax.tree.map(lambda x: np.empty((len(self), *x.shape[1:]), x.dtype), batch)
            jax.tree.map(lambda store, leaf: store.__setitem__(missing, leaf), self._tree, batch)
            self._seen[missing] = True
        return jax.tree.map(lambda leaf: leaf[indices], self._tree)


def fetch(source: Source, indices: Integer[np.ndarray, " batch"]) -> list[PyTree]:
    """Return the records at ``indices``, in that order."""
    where: list[Any] = indices.tolist()
    if hasattr(source, "__getitems__"):
        return list(source.__getitems__(where))
    return [source[i] for i in where]


def stack(records: Sequence[PyTree]) -> PyTree:
    """Return records as one batch, with a new leading axis."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *records)


def record_spec(source: Source) -> tuple[ArraySpec, ...]:
    """Return paths, dtypes and shapes of a record, as the first one has them.

    Raises:
        DataError: there are no records, or a leaf is no array of numbers.
    """
    if len(source) == 0:
        raise DataError("the source has no records")
    specs = []
    for path, leaf in flatten_with_paths(source[0]):
        array = np.asarray(leaf)
        if array.dtype.kind not in "biufcV" or array.dtype.names:
            raise DataError(f"record leaf {path or '/'}: expected an array of numbers, got {type(leaf).__name__}")
        specs.append(ArraySpec(path=path, dtype=_canonical(array.dtype).name, shape=array.shape))
    return tuple(specs)


def take(source: Source, spec: Sequence[ArraySpec], indices: Integer[np.ndarray, " batch"]) -> Batch:
    """Return the records at ``indices`` as leaves of a batch, after checking them against ``spec``.

    Raises:
        DataError: a record has other leaves, shapes or dtypes than ``spec`` says.
    """
    tree = source.take(indices) if hasattr(source, "take") else _stacked(source, indices)
    leaves = dict(flatten_with_paths(tree))
    if leaves.keys() != {leaf.path for leaf in spec}:
        raise DataError(f"records have leaves {list(leaves)}, expected {[leaf.path for leaf in spec]}")
    return tuple(_conform(np.asarray(leaves[want.path]), want, len(indices)) for want in spec)


def record_rows(batch: Batch) -> UInt8[np.ndarray, "records bytes"]:
    """Return the bytes of each record as a contiguous row."""
    flat = [leaf.reshape(len(leaf), -1).view(np.uint8) for leaf in batch]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def digest_batch(
    batch: Batch, indices: Integer[np.ndarray, " batch"], secret: bytes | None, version: Format = FORMAT
) -> list[Digest]:
    """Return the digest of each record of a batch, computed from the arrays themselves.

    Args:
        batch: a batch, as `take` returns it.
        indices: the places of the records in the source, which decide their salts.
        secret: 32 bytes for a private data set, None for a public one.
        version: of the commitment; it decides how salts are made.
    """
    rows = record_rows(batch)
    public = record_digests(rows)
    if secret is None:
        return public
    return record_digests(rows, salts_of(secret, indices.tolist(), public, version))


def salts_of(secret: bytes, indices: Iterable[int], public: Iterable[Digest], version: Format) -> list[bytes]:
    """Return the salt of each record, given its place and its digest without a salt."""
    return [record_salt(secret, index, record, version) for index, record in zip(indices, public, strict=True)]


def digest_source(
    source: Source,
    spec: Sequence[ArraySpec],
    secret: bytes | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Digest]:
    """Return the digests of all records, in order: the leaves of the Merkle tree of the data set.

    Args:
        source: the records.
        spec: the specification of a record.
        secret: 32 bytes for a private data set, None for a public one.
        progress: told now and then how many records are done.
    """
    digests: list[Digest] = []
    for indices in _chunks(len(source)):
        digests += digest_batch(take(source, spec, indices), indices, secret)
        if progress:
            progress(len(digests))
    return digests


def _chunks(size: int) -> Iterator[Integer[np.ndarray, " chunk"]]:
    return (np.arange(start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK))


def _stacked(source: Source, indices: Integer[np.ndarray, " batch"]) -> PyTree:
    records = fetch(source, indices)
    try:
        return stack(records)
    except ValueError as error:
        raise DataError(f"records {indices[0]}..: {error}; all records must have the same shapes") from error


def _canonical(dtype: np.dtype) -> np.dtype:
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))


def _narrow(dtype: np.dtype) -> np.dtype:
    with jax.enable_x64(False):
        return _canonical(dtype)


def _conform(leaf: np.ndarray, want: ArraySpec, size: int) -> np.ndarray:
    """Return ``leaf`` in the committed dtype, its own or that of jax without 64-bit types; no integer may change."""
    if leaf.shape != (size, *want.shape) or want.dtype not in (leaf.dtype.name, _narrow(leaf.dtype).name):
        got = f"{_canonical(leaf.dtype).name}{list(leaf.shape[1:])}"
        raise DataError(f"record leaf {want.path or '/'}: got {got}, expected {want.dtype}{list(want.shape)}")
    cast = np.ascontiguousarray(leaf, np.dtype(want.dtype))  # digests cover contiguous bytes
    if leaf.dtype != cast.dtype and leaf.dtype.kind in "iu" and not np.array_equal(leaf, cast):
        raise DataError(f"record leaf {want.path or '/'}: a value of {leaf.dtype} doesn't fit {want.dtype}")
    if has_odd_bool(cast):
        raise DataError(f"record leaf {want.path or '/'}: a bool is neither 0 nor 1")
    return cast.reshape(leaf.shape)

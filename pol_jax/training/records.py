"""The records of any source become batches of plain arrays, and digests (section 3).

The dtypes of a record are jax's canonical ones (``int64`` becomes ``int32`` unless x64 is enabled), because digests
cover the same arrays that a step receives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Integer, UInt8

from pol_jax.errors import DataError
from pol_jax.protocol.encoding import FORMAT, Digest, Format, record_digests, record_salt
from pol_jax.protocol.trees import DTYPES, ArraySpec
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.training.record_leaves import as_array, check_numbers, columns_of, conform, spec_of_record
from pol_jax.training.sources import fetch, number_of_records
from pol_jax.training.task import PyTree, Source
from pol_jax.training.user_code import calling

Batch = tuple[np.ndarray, ...]
"""A batch holds leaves of shape ``[batch, *shape]``, in the order of the record's specification."""

_CHUNK = 1024
"""This many records are digested at a time: a data set may be larger than the memory."""


class Arrays:
    """This source has records in memory, as a pytree of arrays, each with one leading axis of records."""

    def __init__(self, tree: PyTree) -> None:
        """Hold ``tree``, whose leaves are converted to numpy arrays unless they are such arrays already."""
        named = flatten_with_paths(tree)
        leaves = [(path, as_array(f"array {path or '/'}", leaf)) for path, leaf in named]
        self._tree = jax.tree.unflatten(jax.tree.structure(tree), [leaf for _, leaf in leaves])
        for path, leaf in leaves:
            check_numbers(f"array {path or '/'}", leaf)
            if leaf.ndim == 0:
                raise DataError(f"array {path or '/'}: is a scalar; expected one leading axis of records")
        sizes = {len(leaf) for _, leaf in leaves}
        if len(sizes) != 1:
            raise DataError(f"the arrays of a source must have the same length, got lengths {sorted(sizes)}")
        (self._size,) = sizes

    def __len__(self) -> int:
        """Return the number of records."""
        return self._size

    def __getitem__(self, index: int) -> PyTree:
        """Return record ``index``."""
        return jax.tree.map(lambda leaf: leaf[index], self._tree)

    def records_at(self, indices: Integer[np.ndarray, " batch"]) -> PyTree:
        """Return the records at ``indices`` as one batch, which is a copy."""
        return jax.tree.map(lambda leaf: leaf[indices], self._tree)


class Cached:
    """A source that keeps each record of a slower source in memory after it was first read."""

    def __init__(self, source: Source) -> None:
        """Read from ``source``; memory is allocated when the first record shows its shape."""
        self._source = source
        self._seen = np.zeros(number_of_records(source), bool)
        self._spec: tuple[ArraySpec, ...] = ()
        self._leaves: Batch = ()
        self._structure: jax.tree_util.PyTreeDef | None = None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._seen)

    def __getitem__(self, index: int) -> PyTree:
        """Return record ``index``."""
        return jax.tree.map(lambda leaf: leaf[0], self.records_at(np.array([index])))

    def records_at(self, indices: Integer[np.ndarray, " batch"]) -> PyTree:
        """Return the records at ``indices`` as one batch, which is a copy."""
        # A batch may name a record twice, where one epoch ends and the next begins.
        missing = np.unique(indices[~self._seen[indices]])
        if len(missing):
            self._read(missing)
        assert self._structure is not None  # noqa: S101  # a batch has at least one record
        return jax.tree.unflatten(self._structure, [leaf[indices] for leaf in self._leaves])

    def _read(self, missing: Integer[np.ndarray, " batch"]) -> None:
        if self._structure is None:
            first = fetch(self._source, missing[:1])[0]
            self._spec, self._structure = spec_of_record(first), jax.tree.structure(first)
            self._leaves = tuple(np.empty((len(self), *leaf.shape), DTYPES[leaf.dtype]) for leaf in self._spec)
        for store, leaf in zip(self._leaves, take(self._source, self._spec, missing), strict=True):
            store[missing] = leaf
        self._seen[missing] = True


def record_spec(source: Source) -> tuple[ArraySpec, ...]:
    """Return paths, dtypes and shapes of a record, as the first one has them.

    Raises:
        DataError: the source is none, there are no records, or a leaf is no array of numbers.
        UserCodeError: the source raised an exception.
    """
    number_of_records(source)
    return spec_of_record(fetch(source, np.zeros(1, np.int64))[0])


def take(source: Source, spec: Sequence[ArraySpec], indices: Integer[np.ndarray, " batch"]) -> Batch:
    """Return the records at ``indices`` as leaves of a batch, after checking them against ``spec``.

    Raises:
        DataError: a record has other leaves, shapes or dtypes than ``spec`` says.
        UserCodeError: the source raised an exception.
    """
    # All at once: an array is a source of records along its first axis.
    if isinstance(source, np.ndarray | jax.Array):
        tree: PyTree = as_array("source", source)[indices]
    elif hasattr(source, "records_at"):
        with calling(f"source: records {indices[0]} to {indices[-1]}"):
            tree = source.records_at(indices)
    else:
        columns = columns_of(fetch(source, indices), spec, indices)
        return tuple(conform(np.stack(column), want, len(indices)) for column, want in zip(columns, spec, strict=True))
    leaves = dict(flatten_with_paths(tree))
    if leaves.keys() != {leaf.path for leaf in spec}:
        raise DataError(f"records have leaves {list(leaves)}, expected {[leaf.path for leaf in spec]}")
    named = [(as_array(f"record leaf {want.path or '/'}", leaves[want.path]), want) for want in spec]
    return tuple(conform(leaf, want, len(indices)) for leaf, want in named)


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
    # A salt is made from the public digest too, so that one secret can serve two data sets (section 3).
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
    for indices in _chunks(number_of_records(source)):
        digests += digest_batch(take(source, spec, indices), indices, secret)
        if progress:
            progress(len(digests))
    return digests


def _chunks(size: int) -> Iterator[Integer[np.ndarray, " chunk"]]:
    return (np.arange(start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK))

"""The leaves of a state that lie in a checkpoint are opened with checks, and read whole, or in parts (section 10).

Orbax does not notice damage to the data of arrays, so whoever reads a state must compare its digest with the ledger's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import tensorstore as ts

from pol_jax.errors import PolError, ProofError, unreadable
from pol_jax.protocol.encoding import Digest, piece_digest, state_digest
from pol_jax.protocol.trees import DTYPES, LeafSpec, StateSpec, has_odd_bool
from pol_jax.storage.array_files import (
    check_arrays,
    check_checkpoint_files,
    check_places,
    find_documents,
    open_arrays,
)
from pol_jax.storage.array_form import ArrayForm
from pol_jax.storage.orbax_settings import check_orbax, check_place, escaped_names, few_small_files, reason_of
from pol_jax.training.states import Layout, contiguous_bytes


class StoredLeaves:
    """The leaves in a checkpoint whose files were checked; they are read whole, or in parts.

    Attributes:
        where: the checkpoint, for the text of an error.
        spec: of the leaves.
    """

    def __init__(self, where: str, spec: StateSpec, arrays: Mapping[int, ts.TensorStore]) -> None:
        """Read from arrays, by the places of their leaves in ``spec``; leaves without elements have none."""
        self.where, self.spec, self._arrays = where, spec, arrays

    def read(self, at: int, index: tuple[slice, ...]) -> np.ndarray:
        """Return a part of a leaf.

        Args:
            at: place of the leaf.
            index: a slice for each axis.

        Raises:
            ProofError: it is damaged, or has a bool that is neither 0 nor 1.
        """
        with _reading(self.where):
            return self._checked(at, self._arrays[at][index].read() if at in self._arrays else None, index)

    def digest(self) -> Digest:
        """Return the digest of the state, with one piece in memory at a time.

        Raises:
            ProofError: a piece is damaged, or has a bool that is neither 0 nor 1.
        """
        found = (digest for at in range(len(self.spec)) for digest in self.digest_pieces(at))
        return state_digest(Layout(self.spec).spec_digest, found)

    def digest_pieces(self, at: int) -> Iterator[Digest]:
        """Yield the digests of the pieces of the leaf at a place, with one piece in memory at a time.

        Raises:
            ProofError: a piece is damaged, or has a bool that is neither 0 nor 1.
        """
        leaf = self.spec[at]
        sizes = [size // parts for size, parts in zip(leaf.shape, leaf.pieces, strict=True)]
        for corner in np.ndindex(*leaf.pieces):
            index = tuple(slice(i * size, (i + 1) * size) for i, size in zip(corner, sizes, strict=True))
            yield piece_digest(contiguous_bytes(self.read(at, index)))

    def read_all(self) -> list[np.ndarray]:
        """Return all leaves, whole.

        Raises:
            ProofError: one is damaged, or has a bool that is neither 0 nor 1.
        """
        with _reading(self.where):
            # All reads are begun before the first is waited for: tensorstore reads files in threads of its own.
            begun = {at: array.read() for at, array in self._arrays.items()}
            return [self._checked(at, begun.get(at), ()) for at in range(len(self.spec))]

    def _checked(self, at: int, found: Any, index: tuple[slice, ...]) -> np.ndarray:
        leaf = self.spec[at]
        # A leaf without elements is in no file; the commitment says all about it (section 10).
        array = np.empty(leaf.shape, DTYPES[leaf.dtype])[index] if found is None else np.asarray(found.result())
        if has_odd_bool(array):
            raise ProofError(
                self.where, f"leaf {'/'.join(escaped_names((leaf,))[0])} has a bool that is neither 0 nor 1"
            )
        return array


def open_leaves(root: Path, where: str, spec: StateSpec) -> StoredLeaves:
    """Open the leaves in the directory ``where`` of a proof.

    Shapes and dtypes are read first and must be those of ``spec``, so that hostile metadata can't make this process
    allocate memory.

    Raises:
        ProofError: the checkpoint is missing, damaged, or has another structure.
        BackendError: the installed Orbax is of another version than those that were tested.
        UsageError: Orbax can't read below such a path.
    """
    check_place(root)
    path = root.resolve() / where  # tensorstore takes no path with a ".." in it
    if not path.is_dir():
        raise ProofError(where, "is missing")
    check_orbax()
    names = escaped_names(spec)
    expected = {n: leaf for n, leaf in zip(names, spec, strict=True) if 0 not in leaf.shape}
    forms = {".".join(name): ArrayForm(leaf.dtype, leaf.shape, leaf.pieces) for name, leaf in expected.items()}
    with _reading(where):
        files = check_checkpoint_files(where, path, sum(leaf.nbytes for leaf in spec), len(spec))
        # Before Orbax reads anything: it unpacks whatever its own notes and the store's index lead to.
        documents = dict[str, bytes]()
        if expected:
            check_places(where, path, expected)
            documents = find_documents(where, path, files, forms)
        _check_in_orbax(where, path, expected)
        check_arrays(where, documents, forms)
        places = [at for at, leaf in enumerate(spec) if 0 not in leaf.shape]
        arrays = dict(zip(places, open_arrays(path, files, list(forms)), strict=True))
        # What Orbax notes of a hostile checkpoint may not be what its arrays are, so these are looked at again.
        for at, array in arrays.items():
            _check_leaf(where, "/".join(names[at]), array.dtype.numpy_dtype, array.shape, spec[at])
        return StoredLeaves(where, spec, arrays)


def _check_in_orbax(where: str, path: Path, expected: Mapping[tuple[str, ...], LeafSpec]) -> None:
    """Refuse a checkpoint in which plain Orbax does not find these leaves, by their places."""
    from orbax.checkpoint import v1 as ocp  # takes long to import

    with few_small_files():
        metadata = ocp.metadata(path).metadata
    if not isinstance(metadata, dict):  # Orbax returns something else if it can't read the files
        _check_machine(path)
        raise ProofError(where, "is damaged: Orbax finds no state in it")
    stored = dict(_flatten((), metadata))
    if stored.keys() != expected.keys():
        different = sorted("/".join(n) for n in stored.keys() ^ expected.keys())[0]
        raise ProofError(where, f"has other leaves than the commitment: {different}")
    for name, leaf in expected.items():
        _check_leaf(where, "/".join(name), stored[name].dtype, stored[name].shape, leaf)


def _check_machine(path: Path) -> None:
    """Raise an error if this process can open no more files, or start no more threads: Orbax says neither."""
    os.close(os.open(path, os.O_RDONLY))
    Thread(target=int).start()


def load_leaves(root: Path, where: str, spec: StateSpec) -> list[np.ndarray]:
    """Return the leaves in the directory ``where`` of a proof as host arrays; for errors see `open_leaves`."""
    return open_leaves(root, where, spec).read_all()


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Turn whatever the parsers of hostile files raise into a refusal."""
    try:
        yield
    except PolError:
        raise
    except Exception as error:
        raise unreadable(where, f"is damaged: {reason_of(error)}", error) from error


def _flatten(prefix: tuple[str, ...], tree: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(tree, dict):
        yield prefix, tree
        return
    for name, child in tree.items():
        yield from _flatten((*prefix, name), child)


def _check_leaf(where: str, name: str, dtype: Any, shape: Sequence[int], leaf: LeafSpec) -> None:
    got = (np.dtype(dtype).name, tuple(shape))
    if got != (leaf.dtype, leaf.shape):
        raise ProofError(where, f"leaf {name} is {got[0]}{list(got[1])}, expected {leaf.dtype}{list(leaf.shape)}")

"""These functions keep full states as Orbax checkpoints, which plain Orbax can restore (section 10).

A state is saved as nested dicts by the paths of its leaves. Orbax does not notice damage to the data of arrays, so
whoever loads a state must compare its digest with the ledger's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jax
import numpy as np
import tensorstore as ts

from pol_jax.errors import BackendError, PolError, ProofError, StorageError, UsageError, printable, unreadable
from pol_jax.protocol.encoding import Digest, piece_digest, state_digest
from pol_jax.protocol.trees import DTYPES, LeafSpec, StateSpec, has_odd_bool, split_pointer
from pol_jax.storage.array_files import ArrayForm, check_arrays, check_files, open_arrays
from pol_jax.storage.checkpoint_names import DIRECTORY, NAME, checkpoint_name
from pol_jax.training.states import Layout, contiguous_bytes

ORBAX_VERSION: Final = ("0", "12")
"""Major and minor version."""


def check_orbax() -> None:
    """Check that the installed Orbax is of a version that was tested (docs/protocol.md, appendix B).

    Another one may write and read other files: what it finds damaged says nothing of a checkpoint.

    Raises:
        BackendError: it is another one.
    """
    found = version("orbax-checkpoint")
    if tuple(found.split(".")[:2]) != ORBAX_VERSION:
        tested = ".".join(ORBAX_VERSION)
        raise BackendError(f"orbax-checkpoint {found} is installed, expected {tested}.*; install that version")


def check_place(root: Path) -> None:
    """Check that Orbax can read checkpoints below ``root``: it takes their paths for patterns of file names.

    Raises:
        UsageError: the path has a character that means something in such a pattern, or can't be written in UTF-8.
    """
    path = str(root.absolute())
    for character, name in (("[", "a bracket, ["), ("\\", "a backslash, \\")):
        if character in path:
            raise UsageError(f"{path}: has {name}, which Orbax takes for a part of a pattern; use a path without it")
    if any("\udc80" <= character <= "\udcff" for character in path):
        raise UsageError(f"{printable(path)}: is no UTF-8, which Orbax can't read; use another path")


def save_checkpoint(root: Path, step: int, spec: StateSpec, leaves: Sequence[np.ndarray | jax.Array]) -> None:
    """Save a state, and return when the checkpoint is complete under its name.

    Arrays that lie on several devices are saved shard by shard; where devices belong to several processes, each of them
    calls this function and saves its own.

    Raises:
        StorageError: the checkpoint can't be written.
    """
    save_leaves(root, checkpoint_name(step), spec, leaves)


def save_leaves(root: Path, name: str, spec: StateSpec, leaves: Sequence[np.ndarray | jax.Array]) -> None:
    """Save leaves in the directory ``name`` of a proof; otherwise like `save_checkpoint`."""
    tree: dict[str, Any] = {}
    for names, array in zip(_names(spec), leaves, strict=True):
        if array.size:  # Orbax refuses empty arrays; the specification says everything about them
            _put(tree, names, array)
    check_orbax()
    from orbax.checkpoint import v1 as ocp  # takes long to import

    target = root / name
    target.parent.mkdir(exist_ok=True)
    try:
        with _orbax():
            ocp.save(
                target.parent.resolve() / target.name, tree, overwrite=True
            )  # an interrupted run may have left a part of it
        (target / "commit_success.txt").unlink(missing_ok=True)  # it has a path of the prover's machine
    except (OSError, ValueError, RuntimeError) as error:
        raise StorageError(f"{target}: checkpoint can't be written: {reason_of(error)}") from error


def load_checkpoint(root: Path, step: int, spec: StateSpec) -> list[np.ndarray]:
    """Return a state as host arrays, one for each leaf of ``spec``; for errors see `open_leaves`."""
    return load_leaves(root, checkpoint_name(step), spec)


def load_leaves(root: Path, where: str, spec: StateSpec) -> list[np.ndarray]:
    """Return the leaves in the directory ``where`` of a proof as host arrays; for errors see `open_leaves`."""
    return open_leaves(root, where, spec).read_all()


class StoredLeaves:
    """The leaves in a checkpoint whose files were checked; they are read whole, or in parts."""

    def __init__(self, where: str, spec: StateSpec, arrays: Mapping[int, ts.TensorStore]) -> None:
        """Read from arrays, by the places of their leaves in ``spec``; leaves without elements have none."""
        self._where, self._spec, self._arrays = where, spec, arrays

    def read(self, at: int, index: tuple[slice, ...]) -> np.ndarray:
        """Return a part of a leaf.

        Args:
            at: place of the leaf.
            index: a slice for each axis.

        Raises:
            ProofError: it is damaged, or has a bool that is neither 0 nor 1.
        """
        with _reading(self._where):
            return self._checked(at, self._arrays[at][index].read() if at in self._arrays else None, index)

    def digest(self) -> Digest:
        """Return the digest of the state, with one piece in memory at a time.

        Raises:
            ProofError: a piece is damaged, or has a bool that is neither 0 nor 1.
        """
        return state_digest(Layout(self._spec).spec_digest, self._piece_digests())

    def _piece_digests(self) -> Iterator[Digest]:
        for at, leaf in enumerate(self._spec):
            sizes = [size // parts for size, parts in zip(leaf.shape, leaf.pieces, strict=True)]
            for corner in np.ndindex(*leaf.pieces):
                index = tuple(slice(i * size, (i + 1) * size) for i, size in zip(corner, sizes, strict=True))
                yield piece_digest(contiguous_bytes(self.read(at, index)))

    def read_all(self) -> list[np.ndarray]:
        """Return all leaves, whole.

        Raises:
            ProofError: one is damaged, or has a bool that is neither 0 nor 1.
        """
        with _reading(self._where):
            begun = {at: array.read() for at, array in self._arrays.items()}
            return [self._checked(at, begun.get(at), ()) for at in range(len(self._spec))]

    def _checked(self, at: int, found: Any, index: tuple[slice, ...]) -> np.ndarray:
        leaf = self._spec[at]
        array = np.empty(leaf.shape, DTYPES[leaf.dtype])[index] if found is None else np.asarray(found.result())
        if has_odd_bool(array):
            raise ProofError(self._where, f"leaf {'/'.join(_names((leaf,))[0])} has a bool that is neither 0 nor 1")
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
    from orbax.checkpoint import v1 as ocp  # takes long to import

    names = _names(spec)
    with _reading(where):
        check_files(where, path, sum(leaf.nbytes for leaf in spec), len(spec))
        with _orbax():
            metadata = ocp.metadata(path).metadata
        if not isinstance(metadata, dict):  # Orbax returns something else if it can't read the files
            os.close(os.open(path, os.O_RDONLY))  # this raises if the process can't open any more files
            raise ProofError(where, "is damaged: Orbax finds no state in it")
        stored = dict(_flatten((), metadata))
        expected = {n: leaf for n, leaf in zip(names, spec, strict=True) if 0 not in leaf.shape}
        if stored.keys() != expected.keys():
            different = sorted("/".join(n) for n in stored.keys() ^ expected.keys())[0]
            raise ProofError(where, f"has other leaves than the commitment: {different}")
        for name, leaf in expected.items():
            _check_leaf(where, "/".join(name), stored[name].dtype, stored[name].shape, leaf)
        forms = {".".join(name): ArrayForm(leaf.dtype, leaf.shape, leaf.pieces) for name, leaf in expected.items()}
        check_arrays(where, path, forms)
        places = [at for at, leaf in enumerate(spec) if 0 not in leaf.shape]
        arrays = dict(zip(places, open_arrays(path, list(forms)), strict=True))
        # What Orbax notes of a hostile checkpoint may not be what its arrays are, so these are looked at again.
        for at, array in arrays.items():
            _check_leaf(where, "/".join(names[at]), array.dtype.numpy_dtype, array.shape, spec[at])
        return StoredLeaves(where, spec, arrays)


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Turn whatever the parsers of hostile files raise into a refusal."""
    try:
        yield
    except PolError:
        raise
    except Exception as error:
        raise unreadable(where, f"is damaged: {reason_of(error)}", error) from error


def remove_checkpoint(root: Path, step: int) -> None:
    """Remove the checkpoint after ``step``.

    It is renamed first: if the process is killed, the checkpoint is whole, or is no longer named as one.
    """
    target = root / checkpoint_name(step)
    renamed = target.with_suffix(".removed")
    target.rename(renamed)
    shutil.rmtree(renamed)


def remove_unfinished(root: Path) -> None:
    """Remove what an interrupted save or removal left behind."""
    directory = root / DIRECTORY
    for entry in directory.iterdir() if directory.is_dir() else ():
        if not entry.is_dir():
            entry.unlink()
        elif not NAME.match(entry.name):
            shutil.rmtree(entry)


@contextmanager
def _orbax() -> Iterator[None]:
    """Let Orbax write few and small files, without compression.

    Compression would save 7% of the size of float32 weights, and double the time.
    """
    from orbax.checkpoint import v1 as ocp

    context = ocp.Context()
    context.array.saving.enable_write_sharding_file = False
    context.array.saving.array_metadata_store = None
    context.array.saving.use_compression = False
    context.array.saving.use_replica_parallel = False  # it would cut what the mesh does not cut
    with context:
        yield


def array_names(spec: StateSpec) -> list[str]:
    """Return the name of each leaf in the store of its checkpoint."""
    return [".".join(names) for names in _names(spec)]


def _names(spec: StateSpec) -> list[tuple[str, ...]]:
    """Return the place of each leaf in the nested dicts; names are escaped, because Orbax joins them by dots."""
    return [tuple(_safe(part) for part in split_pointer(leaf.path)) or ("state",) for leaf in spec]


def _safe(part: str) -> str:
    return quote(part, safe="").replace(".", "%2E").replace("~", "%7E") or "%"


def _put(tree: dict[str, Any], names: tuple[str, ...], value: Any) -> None:
    for name in names[:-1]:
        tree = tree.setdefault(name, {})
    tree[names[-1]] = value


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


def reason_of(error: BaseException) -> str:
    """Return the reason of an error that Orbax has wrapped, in one line."""
    text = str(error) or type(error).__name__
    for known in ("No space left on device", "Permission denied", "Read-only file system"):
        if known in text:
            return known
    return f"{type(error).__name__}: {text.splitlines()[0][:120]}"

"""This module reads ``.npz`` files strictly: a zip of arrays, no pickles, and no more bytes than the zip says."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from pol_jax.errors import ProofError, StorageError, UsageError, printable

MAX_BYTES: Final = 2**36
"""All arrays together have at most this many bytes, since they are unpacked into memory."""

MAX_ARRAYS: Final = 2**20
MAX_NAME: Final = 1024
_MAX_HEADER: Final = 10_000
"""NumPy parses the header of an array as Python's literals, which long texts can make slow or crash."""

_KINDS: Final = frozenset("biufc")
"""NumPy's letters for booleans, integers, floats and complex numbers; never objects, which are pickles."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in an ``.npz`` file by name.

    Raises:
        UsageError: it can't be read, or is malformed; says where.
        StorageError: this machine has too little memory.
    """
    where = printable(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive.infolist(), path.name)
            return {_name(entry): _array(archive, entry, path.name) for entry in archive.infolist()}
    except ProofError as error:  # the file is not the proof's, so this rejects nothing
        raise UsageError(f"{error}; expected what numpy.savez writes") from None
    except MemoryError:
        raise StorageError(f"{where}: doesn't fit into this machine's memory; give the model as .safetensors") from None
    except OSError as error:
        raise UsageError(f"{where}: can't be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        # NotImplementedError: another compression; RuntimeError: encrypted
        raise UsageError(f"{where}: no .npz file, or a damaged one: {printable(str(error))}") from None


def _check_sizes(entries: list[zipfile.ZipInfo], where: str) -> None:
    total = sum(entry.file_size for entry in entries)
    if not 1 <= len(entries) <= MAX_ARRAYS or total > MAX_BYTES:
        raise ProofError(
            where, f"has {len(entries)} arrays of {total} bytes; the limit is {MAX_ARRAYS} and {MAX_BYTES}"
        )
    names = [_name(entry) for entry in entries]
    if len(set(names)) != len(names):
        raise ProofError(where, "has two arrays of one name")
    for name, entry in zip(names, entries, strict=True):
        if not entry.filename.endswith(".npy") or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise ProofError(
                where, f"{name[:80]!r}: expected a name that ends with .npy, of at most {MAX_NAME} characters"
            )
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ProofError(where, f"{name[:80]}: compressed in another way than zip's usual one")


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> np.ndarray:
    """Return one array, allocated only after header and size were found to agree."""
    name = _name(entry)[:80]
    with cast(zipfile.ZipExtFile, archive.open(entry)) as file:
        shape, is_fortran, kind = _header(file, name, where)
        if kind.hasobject or kind.kind not in _KINDS or kind.names is not None:
            cure = "; save bfloat16 as .safetensors" if kind.kind == "V" else ""
            raise ProofError(where, f"{name}: holds {kind}, which is no plain number{cure}")
        count = math.prod(shape)
        if count * kind.itemsize != entry.file_size - file.tell():
            got, expected = entry.file_size - file.tell(), count * kind.itemsize
            raise ProofError(where, f"{name}: has {got} bytes, but its dtype and shape make {expected}")
        content = file.read()
    if len(content) != count * kind.itemsize:
        raise ProofError(where, f"{name}: is cut off")
    array = np.frombuffer(content, kind).reshape(shape, order="F" if is_fortran else "C")
    return array.astype(kind.newbyteorder("="), copy=False)


def _header(file: zipfile.ZipExtFile, name: str, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, is_fortran, kind = np.lib.format.read_array_header_1_0(file, max_header_size=_MAX_HEADER)
        elif version == (2, 0):
            shape, is_fortran, kind = np.lib.format.read_array_header_2_0(file, max_header_size=_MAX_HEADER)
        else:
            raise ProofError(where, f"{name}: is of version {version} of numpy's format; expected 1.0 or 2.0")
    except ValueError as error:
        raise ProofError(where, f"{name}: {str(error).splitlines()[0]}") from None
    if len(shape) > 32 or any(not 0 <= size < 2**48 for size in shape):
        raise ProofError(where, f"{name}: shape {str(shape)[:80]} is out of bounds")
    return shape, is_fortran, kind

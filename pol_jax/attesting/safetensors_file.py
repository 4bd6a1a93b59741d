"""This module reads safetensors files strictly: each byte belongs to one array, and none is read before that is sure.

The safetensors library reads the header too, as a second opinion; the arrays are views of the file, because the library
has no numpy types for bfloat16 and 8-bit floats.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from pol_jax.attesting.strict_json import parse_object
from pol_jax.errors import ProofError, UsageError, printable

MAX_HEADER: Final = 2**26
MAX_NAME: Final = 1024
MAX_AXES: Final = 32

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    name: np.dtype(kind)
    for name, kind in {
        "BOOL": np.bool_,
        "U8": np.uint8,
        "I8": np.int8,
        "U16": np.uint16,
        "I16": np.int16,
        "U32": np.uint32,
        "I32": np.int32,
        "U64": np.uint64,
        "I64": np.int64,
        "F16": np.float16,
        "F32": np.float32,
        "F64": np.float64,
        "C64": np.complex64,
        "BF16": ml_dtypes.bfloat16,
        "F8_E4M3": ml_dtypes.float8_e4m3fn,
        "F8_E5M2": ml_dtypes.float8_e5m2,
    }.items()
}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a safetensors file by name, as views of the file.

    Raises:
        UsageError: it can't be read, or is malformed; says where.
    """
    where = printable(str(path))
    try:
        # Mapped and not read, so that a model may be larger than the memory.
        content = np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise UsageError(f"{where}: can't be read: {error.strerror}") from None
    except ValueError:  # an empty file can't be mapped
        raise UsageError(f"{where}: is empty; expected a safetensors file") from None
    try:
        found = _arrays(content, path.name)
    except ProofError as error:  # the file is not the proof's, so this rejects nothing
        raise UsageError(f"{error}; expected a whole safetensors file") from None
    _check_with_library(path, set(found), where)
    return found


def _arrays(content: np.ndarray, where: str) -> dict[str, np.ndarray]:
    length = int.from_bytes(content[:8].tobytes(), "little")
    if len(content) < 8 or length > min(MAX_HEADER, len(content) - 8):
        raise ProofError(where, f"claims a header of {length} bytes in a file of {len(content)}")
    header = parse_object(content[8 : 8 + length].tobytes(), where, most=MAX_HEADER, canonical=False)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ProofError(where, "__metadata__: expected names with texts")
    data = content[8 + length :]
    found: dict[str, np.ndarray] = {}
    end = 0
    # The header may name arrays in any order. In the order of their places, each gap and each overlap shows.
    for name, entry in sorted(header.items(), key=_start_of):
        kind, shape, (first, last) = _entry(name, entry, where)
        if first != end:
            raise ProofError(where, f"{name[:80]}: begins at byte {first}, but the array before ends at {end}")
        size = math.prod(shape) * kind.itemsize
        if last - first != size:
            raise ProofError(where, f"{name[:80]}: has {last - first} bytes, but its dtype and shape make {size}")
        if last > len(data):
            raise ProofError(where, f"{name[:80]}: ends at byte {last} of {len(data)}")
        found[name] = _view(data[first:last], kind, shape)
        end = last
    if end != len(data):
        raise ProofError(where, f"has {len(data) - end} bytes after the last array")
    return found


def _start_of(item: tuple[str, Any]) -> tuple[int, int]:
    """Return where an array begins and ends, as far as its entry says; `_entry` says what is wrong with it."""
    offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
    if isinstance(offsets, list) and len(offsets) == 2 and all(type(at) is int for at in offsets):
        return offsets[0], offsets[1]
    return -1, -1


def _entry(name: str, entry: Any, where: str) -> tuple[np.dtype[Any], tuple[int, ...], tuple[int, int]]:
    short = name[:80]
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():  # half a surrogate pair isn't printable either
        raise ProofError(where, f"{short!r}: expected a name of 1 to {MAX_NAME} printable characters")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ProofError(where, f"{short}: expected dtype, shape and data_offsets, and nothing else")
    kind = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if kind is None:
        raise ProofError(
            where, f"{short}: dtype {str(entry['dtype'])[:40]!r} is not supported; expected {', '.join(DTYPES)}"
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    for field, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(type(at) is int and 0 <= at < 2**48 for at in numbers):
            raise ProofError(where, f"{short}: {field}: expected integers from 0 to 2^48 - 1")
    if len(shape) > MAX_AXES or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ProofError(where, f"{short}: expected at most {MAX_AXES} axes, and offsets of a first and a last byte")
    return kind, tuple(shape), (offsets[0], offsets[1])


def _view(data: np.ndarray, kind: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return the bytes as an array, copied where the file doesn't align them."""
    plain = np.asarray(data)
    if plain.ctypes.data % kind.alignment:
        plain = plain.copy()
    return plain.view(kind.newbyteorder("<")).reshape(shape)


def _check_with_library(path: Path, names: set[str], where: str) -> None:
    try:
        with safe_open(path, framework="np") as file:
            others = set(file.keys())
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{where}: the safetensors library refuses it: {printable(str(error))}") from None
    if others != names:
        raise UsageError(f"{where}: the safetensors library finds other arrays in it; expected a file with one reading")

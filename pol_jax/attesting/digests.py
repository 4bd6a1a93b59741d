"""Every byte layout that attestations hash is here: arrays by name, files, and what other formats digest by SHA-256.

Two hashes stand for a thing, because BLAKE3 is what a proof uses and SHA-256 is what other tools look models up by.
Arrays are digested by name, type, shape and value, and not as files: one model has many files.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from blake3 import blake3

from pol_jax.errors import StorageError, UsageError, printable

_DOMAIN: Final = b"pol-jax/1 arrays\n"
"""What the digested bytes begin with, so that no file's digest is taken for that of arrays."""

_CHUNK: Final = 2**22


@dataclass(frozen=True)
class Digests:
    """A thing has two digests of the same bytes, 64 hex digits each.

    Attributes:
        blake3: by BLAKE3, unkeyed.
        sha256: by SHA-256.
    """

    blake3: str
    sha256: str


def sha256(content: bytes) -> bytes:
    """Return the SHA-256 digest, where a format of others asks for it: RFC 3161, drand."""
    return hashlib.sha256(content).digest()


def digest_bytes(chunks: Iterable[bytes | memoryview]) -> Digests:
    """Digest bytes that come in pieces, with both hashes in one pass."""
    one, other = blake3(), hashlib.sha256()
    for chunk in chunks:
        one.update(chunk)
        other.update(chunk)
    return Digests(one.hexdigest(), other.hexdigest())


def digest_file(path: Path) -> Digests:
    """Digest a file, in bounded memory.

    Raises:
        UsageError: there is no such file.
        StorageError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return digest_bytes(iter(lambda: file.read(_CHUNK), b""))
    except (FileNotFoundError, IsADirectoryError):
        raise UsageError(f"{printable(str(path))}: no such file; expected the file of a model") from None
    except OSError as error:
        raise StorageError(f"{printable(str(path))}: can't be read: {error.strerror}") from error


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> Digests:
    """Digest arrays by name, dtype, shape and value; the order of the mapping doesn't count."""
    return digest_bytes(array_stream(arrays))


def array_stream(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    """Yield the bytes that stand for arrays, as ``docs/attestation.md`` section 2 lays them out."""
    yield _DOMAIN + _u64(len(arrays))
    for name in sorted(arrays, key=str.encode):
        array = arrays[name]
        kind = array.dtype.name.encode()
        yield _text(name.encode()) + _text(kind) + _u64(array.ndim, *array.shape)
        # In C order and little-endian, however the array lies in this machine's memory.
        whole = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        if whole.nbytes:
            flat = whole.reshape(-1).view(np.uint8).data
            yield from (flat[at : at + _CHUNK] for at in range(0, len(flat), _CHUNK))


def _u64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def _text(content: bytes) -> bytes:
    return _u64(len(content)) + content

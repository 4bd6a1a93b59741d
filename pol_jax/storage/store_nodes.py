"""The nodes of an OCDBT store are unpacked within a bound before tensorstore unpacks them without one.

The index of such a store is a tree of nodes, which may be compressed by zstd: 20 kB may stand for 600 MB. A reference
to a node is a place in any file of the store, so that every place which begins as a node does is looked at. The format
is that of https://google.github.io/tensorstore/kvstore/ocdbt: a mark of four bytes, a length of eight (little-endian),
a version, a compression, the content and four bytes of a checksum.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from pol_jax.errors import ProofError

_MARKS: Final = (b"\x0c\xdb\x3a\x2a", b"\x0c\xdb\x20\xde", b"\x0c\xdb\x12\x34")
"""These begin a manifest, a node of keys, and a node of versions."""

_HEAD_BYTES, _CHECKSUM_BYTES = 12, 4
_ZSTD: Final = 1
_FRAMES: Final = (b"\x28\xb5\x2f\xfd", *(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60)))
"""Zstd begins with one of these; anything else that looks like a node is a part of an array."""

_AT_ONCE: Final = 2**16


def check_nodes(where: str, files: Iterable[Path], most: int) -> None:
    """Check that all nodes of a store together unpack to no more than ``most`` bytes.

    Args:
        where: the checkpoint, for the text of an error.
        files: of the store.
        most: number of bytes.

    Raises:
        ProofError: they unpack to more, or one can't be unpacked.
    """
    left = most
    for path in files:
        for packed in _packed_nodes(path):
            left -= _unpacked_bytes(where, packed, left)
            if left < 0:
                raise ProofError(where, f"is damaged: its index unpacks to more than {most} bytes")


def _packed_nodes(path: Path) -> Iterator[bytes]:
    """Yield what looks like the compressed content of a node."""
    if not path.stat().st_size:
        return  # an empty file can't be mapped
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for mark in _MARKS:
            at = content.find(mark)
            while at >= 0:
                length = int.from_bytes(content[at + 4 : at + _HEAD_BYTES], "little")
                _, begin = _varint(content, at + _HEAD_BYTES)
                compression, begin = _varint(content, begin)
                if compression == _ZSTD and content[begin : begin + 4] in _FRAMES:
                    yield content[begin : max(begin, min(at + length, len(content)) - _CHECKSUM_BYTES)]
                # A mark may begin within what looked like another node, and tensorstore can be led to any place.
                at = content.find(mark, at + 1)


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    """Return a number in groups of seven bits, and where it ends; it may have more groups than it needs."""
    number = 0
    for shift, byte in enumerate(content[at : at + 10]):
        number |= (byte & 127) << (7 * shift)
        if byte < 128:
            return number, at + shift + 1
    return -1, at


def _unpacked_bytes(where: str, packed: bytes, most: int) -> int:
    """Return how many bytes zstd makes of ``packed``, or one more than ``most`` if it makes more."""
    size = 0
    try:
        # A part at a time: of what unpacks to far too much, no more is unpacked than shows that.
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            while size <= most and (part := stream.read(_AT_ONCE)):
                size += len(part)
    except (pa.ArrowException, OSError) as error:
        raise ProofError(where, f"is damaged: a part of its index can't be unpacked: {error}") from error
    return size

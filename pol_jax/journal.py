"""The open segment: rows appended as they come, so that a killed run loses none that was recorded.

A frame is ``u32 length | u32 CRC-32 | row bytes``. A frame that was cut short by a crash is dropped when reading.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from pol_jax.encoding import DIGEST_BYTES
from pol_jax.ledger import Row

FILE: Final = "journal"

_HEAD: Final = struct.Struct("<II")


class Journal:
    """Appends rows to a file; each is handed to the system before `append` returns."""

    def __init__(self, path: Path, rows: Iterable[Row] = ()) -> None:
        """Begin ``path`` with ``rows``; what was there is replaced at once, or not at all."""
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(b"".join(_frame(row) for row in rows))
        temporary.replace(path)
        self._file = path.open("ab", buffering=0)

    def append(self, row: Row) -> None:
        """Append one row."""
        frame = _frame(row)
        if self._file.write(frame) != len(frame):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def clear(self) -> None:
        """Forget all rows: they are sealed elsewhere."""
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file; twice does no harm."""
        self._file.close()


def read_journal(path: Path) -> list[Row]:
    """The rows in a journal, up to the first frame that is not whole; none if there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    rows, at = [], 0
    while at + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, at)
        frame = content[at + _HEAD.size : at + _HEAD.size + length]
        if len(frame) != length or zlib.crc32(frame) != checksum:
            break
        row = decode_row(frame)
        if row is None:
            break
        rows.append(row)
        at += _HEAD.size + length
    return rows


def _frame(row: Row) -> bytes:
    content = row.encode()
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def decode_row(content: bytes) -> Row | None:
    """The inverse of `Row.encode`; None for bytes that no row has (a frame of zeros has a valid checksum)."""
    try:
        step, length = struct.unpack_from("<QQ", content)
        key, rest = content[16 : 16 + length], content[16 + length :]
        (batch,) = struct.unpack_from("<Q", rest)
        indices, rest = np.frombuffer(rest, "<u8", batch, 8), rest[8 + 8 * batch :]
        digest, rest = rest[:DIGEST_BYTES], rest[DIGEST_BYTES:]
        state, rest = (rest[1 : 1 + DIGEST_BYTES], rest[1 + DIGEST_BYTES :]) if rest[0] else (None, rest[1:])
        row = Row(step, key, indices, digest, state, rest[1:] if rest[0] else None)
    except (struct.error, ValueError, IndexError, OverflowError):
        return None
    whole = row.encode() == content and (row.loss is None or len(row.loss) == 4)
    return row if whole else None

"""The open segment: rows appended as they come, so that a killed run loses none that was recorded.

A frame is ``u32 length | u32 CRC-32 | row bytes``. A frame that was cut short by a crash is dropped when reading.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pol_jax.protocol.rows import Row, decode_row
from pol_jax.protocol.spans import Segments
from pol_jax.storage import ledger

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


def recorded_rows(root: Path, interval: int, sealed_to: int) -> Iterator[Row]:
    """Sealed rows, then those of the journal that follow without a gap."""
    if sealed_to >= 0:
        yield from ledger.read_rows(root, Segments(sealed_to, interval))
    expected = sealed_to + 1
    for row in read_journal(root / FILE):
        if row.step == expected:
            yield row
            expected += 1

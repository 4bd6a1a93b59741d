"""A journal keeps the rows of the open segment, so that a run that is killed loses no row that was recorded.

A frame is ``u32 length | u32 CRC-32 | row bytes``. A reader drops a frame that was cut short by a crash.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pol_jax.protocol.rows import Row, RowLayout, decode_row
from pol_jax.protocol.spans import Segments
from pol_jax.storage import ledger

FILE: Final = "journal"

_HEAD: Final = struct.Struct("<II")


class Journal:
    """A journal appends rows to a file; each is passed to the operating system before `append` returns."""

    def __init__(self, path: Path, rows: Iterable[Row] = ()) -> None:
        """Begin the file ``path`` with ``rows`` in place of what it had; a crash leaves the old file or the new."""
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(b"".join(_frame(row) for row in rows))
        temporary.replace(path)
        self._file = path.open("ab", buffering=0)

    def append(self, row: Row) -> None:
        """Append one row."""
        frame = _frame(row)
        if self._file.write(frame) != len(frame):  # a short write means that the disk is full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def clear(self) -> None:
        """Remove all rows, which have been sealed in a file of the ledger."""
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file; this may be done twice."""
        self._file.close()


def read_journal(path: Path, layout: RowLayout) -> list[Row]:
    """Return the rows in a journal up to the first frame that is not whole, or none if there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    rows, position = [], 0
    while position + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, position)
        frame = content[position + _HEAD.size : position + _HEAD.size + length]
        if len(frame) != length or zlib.crc32(frame) != checksum:
            break
        row = decode_row(frame, layout)
        if row is None:
            break
        rows.append(row)
        position += _HEAD.size + length
    return rows


def _frame(row: Row) -> bytes:
    content = row.encode()
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def recorded_rows(root: Path, interval: int, sealed_to: int, layout: RowLayout) -> Iterator[Row]:
    """Yield the sealed rows, then those of the journal that follow them without a gap."""
    if sealed_to >= 0:
        yield from ledger.read_rows(root, Segments(sealed_to, interval), layout)
    expected = sealed_to + 1
    for row in read_journal(root / FILE, layout):
        if row.step == expected:
            yield row
            expected += 1

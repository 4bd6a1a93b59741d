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
from typing import BinaryIO, Final

from pol_jax.errors import ProofError, unreadable
from pol_jax.files import open_plain, write_whole
from pol_jax.protocol.rows import Row, RowLayout, decode_row
from pol_jax.protocol.spans import Segments
from pol_jax.storage import ledger

FILE: Final = "journal"

MAX_ROW_BYTES: Final = 2**24
"""A row has at most this many bytes: the largest batch has 8 MiB of indices."""

MAX_BYTES: Final = 2**31
"""A journal has at most this many bytes of rows: the largest segment has 1 GiB of indices."""

_HEAD: Final = struct.Struct("<II")


class Journal:
    """A journal appends rows to a file; each is passed to the operating system before `append` returns."""

    def __init__(self, path: Path, rows: Iterable[Row] = ()) -> None:
        """Begin the file ``path`` with ``rows`` in place of what it had; a crash leaves the old file or the new."""
        write_whole(path, b"".join(_frame(row.encode()) for row in rows))
        # Unbuffered: a process that is killed loses nothing that it has appended.
        self._file = path.open("ab", buffering=0)

    def append(self, row: bytes) -> None:
        """Append one row, as `Row.encode` has it.

        Raises:
            OSError: it can't be written whole.
        """
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
    """Return the rows in a journal up to the first frame that is not whole, or none if there is no file.

    One frame is read at a time, and none that is larger than a row can be: the file may be anybody's.

    Raises:
        ProofError: there are more rows, or more bytes, than in the largest segment; or it is no plain file.
        BackendError: this machine can't read it.
    """
    try:
        with open_plain(path) as file:
            return list(_read_rows(file, layout))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(FILE, f"can't be read: {error.strerror}", error) from error


def _read_rows(file: BinaryIO, layout: RowLayout) -> Iterator[Row]:
    total = rows = 0
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        # Where a crash left garbage, the length may say 4 GiB, which a read would allocate.
        frame = file.read(length) if length <= MAX_ROW_BYTES else b""
        row = decode_row(frame, layout) if len(frame) == length and zlib.crc32(frame) == checksum else None
        # Not an error: a crash may cut the last frame short, and the run is continued from the row before.
        if row is None:
            return
        total, rows = total + length, rows + 1
        if total > MAX_BYTES:
            raise ProofError(FILE, f"has more than {MAX_BYTES} bytes of rows, expected those of one segment")
        if rows > ledger.MOST_ROWS:
            raise ProofError(FILE, f"has more than {ledger.MOST_ROWS} rows, expected those of one segment")
        yield row


def _frame(row: bytes) -> bytes:
    return _HEAD.pack(len(row), zlib.crc32(row)) + row


def recorded_rows(
    root: Path, interval: int, sealed_to: int, layout: RowLayout, *, read: ledger.SegmentReader | None = None
) -> Iterator[Row]:
    """Yield the sealed rows, then those of the journal that follow them without a gap."""
    if sealed_to >= 0:
        yield from ledger.read_rows(root, Segments(sealed_to, interval), layout, read=read)
    expected = sealed_to + 1
    for row in read_journal(root / FILE, layout):
        # A crash between sealing and clearing leaves rows here that are in a sealed segment already.
        if row.step == expected:
            yield row
            expected += 1

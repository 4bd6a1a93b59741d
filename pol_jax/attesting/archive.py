"""An archive is a directory as a stream of bytes: a tar file with one form for each content, read as it comes in.

Names and contents of plain files are all that it holds. Because there is one form, reading is strict by construction:
a member's header must be the very bytes that would be written for its name and size, so that links, devices, owners,
other modes and second spellings have no way in.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pol_jax.attesting.tar_header import BLOCK, KIND, LONG_NAME, header_of, name_of, size_of, whole_blocks
from pol_jax.errors import ProofError, StorageError, UsageError, printable

_END: Final = bytes(2 * BLOCK)
_CHUNK: Final = 2**20
_NAME: Final = re.compile(
    r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.%-]{1,128}(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.%-]{1,128}){0,11}\Z"
)
_LONGEST: Final = 12 * 129
"""A name has at most 12 parts of 128 characters, each of which is counted with a ``/``."""


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits say what a reader takes at most; they are the reader's, never the archive's.

    Attributes:
        files: how many.
        bytes: of all files together.
    """

    files: int = 10_000_000
    bytes: int = 2**42


def stream_directory(root: Path) -> Iterator[bytes]:
    """Yield the archive of a directory, in bounded memory.

    Raises:
        UsageError: no directory, empty, or with something in it that an archive has no place for.
        StorageError: a file can't be read, or changes meanwhile.
    """
    if root.is_symlink() or not root.is_dir():
        raise UsageError(f"{printable(str(root))}: no directory; expected that of a proof")
    # Whole names are sorted, as the form demands: folder by folder, "a/b" would come before "a-b".
    names = sorted(_plain_files(root, ""))
    if not names:
        raise UsageError(f"{printable(str(root))}: is empty; expected the directory of a proof")
    for name in names:
        yield from _stream_file(root, name)
    yield _END


class Extractor:
    """An extractor takes an archive in pieces of any size, and writes its files into an empty directory.

    Call `write` with each piece, then `finish`; and `close` in any case. What was written before an error stays in the
    directory, for the caller to throw away.
    """

    def __init__(self, root: Path, limits: ArchiveLimits, where: str) -> None:
        """Write into ``root``, an empty directory that is there; ``where`` names the archive in errors."""
        self._root, self._limits, self._where = root, limits, where
        self._pending = bytearray()
        self._file: BinaryIO | None = None
        self._left = self._padding = 0
        self._files = self._bytes = 0
        self._last = ""
        self._ended = False

    def write(self, piece: bytes) -> int:
        """Take the next piece, and return its length.

        Raises:
            ProofError: it is no archive of this form, or exceeds the limits.
            OSError: the disk.
        """
        view = memoryview(piece)
        while view:
            view = self._take_content(view) if self._left else self._take_header(view)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: files are complete when they are closed."""

    def finish(self) -> None:
        """Check that the archive came to its end.

        Raises:
            ProofError: it is cut off.
        """
        if not self._ended:
            raise ProofError(self._where, "the archive is cut off; expected its end")

    def close(self) -> None:
        """Close the file that is being written, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take_content(self, view: memoryview) -> memoryview:
        """Take content, then zeros up to the next block."""
        # `_left` counts the padding too.
        content = view[: max(self._left - self._padding, 0)]
        if self._file is not None:
            self._file.write(content)
        self._left -= len(content)
        view = view[len(content) :]
        if self._left <= self._padding:
            self.close()
            zeros = view[: self._left]
            if any(zeros):
                raise self._malformed("padding that is not zero")
            self._left -= len(zeros)
            view = view[len(zeros) :]
        return view

    def _take_header(self, view: memoryview) -> memoryview:
        if self._ended:
            raise self._malformed("something after its end")
        missing = self._header_length() - len(self._pending)
        self._pending += view[:missing]
        if len(self._pending) == self._header_length():
            header, self._pending = bytes(self._pending), bytearray()
            if header == _END:
                self._ended = True
            else:
                self._start(*self._parse(header))
        return view[missing:]

    def _header_length(self) -> int:
        """Return how many bytes the pending header has in all, as far as its first block tells."""
        if len(self._pending) < BLOCK:
            return BLOCK
        first = bytes(self._pending[:BLOCK])
        if first == bytes(BLOCK):
            return 2 * BLOCK
        if first[KIND] != LONG_NAME:
            return BLOCK
        length = self._size(first)
        if not 0 < length <= _LONGEST + 1:
            raise self._malformed("a name that is too long")
        return 2 * BLOCK + whole_blocks(length)

    def _parse(self, header: bytes) -> tuple[str, int]:
        """Return name and size of the next file, if its header is what would be written for them."""
        name, size = name_of(header), self._size(header[-BLOCK:])
        if not _NAME.match(name):
            raise self._malformed(f"the name {name[:80]!r}")
        # The header is written again and compared: every other field of it is checked by that, whatever it says.
        if header_of(name, size) != header:
            raise self._malformed(f"the member {name[:80]!r} that is no plain file in the one form")
        # Ascending names can't occur twice, and a directory of plain files has one archive only.
        if name <= self._last:
            raise self._malformed(f"the name {name[:80]!r} out of order, or twice")
        return name, size

    def _size(self, block: bytes) -> int:
        try:
            return size_of(block)
        except ValueError:
            raise self._malformed("a damaged header") from None

    def _start(self, name: str, size: int) -> None:
        self._last = name
        self._files += 1
        self._bytes += size
        if self._files > self._limits.files or self._bytes > self._limits.bytes:
            raise ProofError(
                self._where,
                f"holds more than {self._limits.files} files or {self._limits.bytes} bytes, which is the limit",
            )
        path = self._root / name
        # O_EXCL and O_NOFOLLOW: nothing that is there already is written to, and no link is followed.
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb")
        except (FileExistsError, NotADirectoryError):
            raise self._malformed(f"the name {name[:80]!r} where another file is") from None
        self._left = whole_blocks(size)
        self._padding = self._left - size
        if not size:
            self.close()

    def _malformed(self, what: str) -> ProofError:
        return ProofError(self._where, f"the archive has {what}; expected the form that pol encrypt writes")


def _plain_files(root: Path, below: str) -> Iterator[str]:
    """Yield the names of all files, relative to ``root``; nothing is followed."""
    try:
        with os.scandir(root / below) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                if not _NAME.match(name):
                    raise UsageError(f"{printable(name)}: a name that no proof has; take it out of the directory first")
                if entry.is_dir(follow_symlinks=False):
                    yield from _plain_files(root, f"{name}/")
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    raise UsageError(f"{printable(name)}: neither file nor directory; a proof has no links or devices")
    except OSError as error:
        raise StorageError(f"{printable(below or str(root))}: can't be read: {error.strerror}") from error


def _stream_file(root: Path, name: str) -> Iterator[bytes]:
    try:
        with os.fdopen(os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise StorageError(f"{name}: is no file any more; leave the proof alone while it is encrypted")
            yield header_of(name, found.st_size)
            left = found.st_size
            while left and (piece := file.read(min(left, _CHUNK))):
                left -= len(piece)
                yield piece
            # The size is in the header already, so that a file which grows or shrinks can't be written truly.
            if left or file.read(1):
                raise StorageError(f"{name}: changed while it was read; leave the proof alone while it is encrypted")
    except OSError as error:
        raise StorageError(f"{name}: can't be read: {error.strerror}") from error
    yield bytes(whole_blocks(found.st_size) - found.st_size)

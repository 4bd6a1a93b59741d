"""A tar header is what stands before a file in an archive; here it has one form for each name and size.

The form is GNU tar's. It is written here and not by a library, so that it can't change with one.
"""

from __future__ import annotations

import re
from typing import Final

BLOCK: Final = 512
LONG_NAME: Final = b"L"
KIND: Final = slice(156, 157)
"""Where a block says what it is."""

_PLAIN: Final = b"0"
_SHORT: Final = 100
_SIZE: Final = slice(124, 136)
_BASE_256: Final = 0x80
_OCTAL: Final = re.compile(rb"[0-7]{11}\0\Z")


def header_of(name: str, size: int) -> bytes:
    """Return the bytes before a file's content: one block, or more where the name is longer than 100 characters."""
    raw = name.encode("ascii")
    header = _header_block(raw[:_SHORT], size, _PLAIN, 0o644)
    if len(raw) <= _SHORT:
        return header
    long = raw + b"\0"
    before = _header_block(b"././@LongLink", len(long), LONG_NAME, 0)
    return before + long.ljust(whole_blocks(len(long)), b"\0") + header


def name_of(header: bytes) -> str:
    """Return the name that a header tells; whether that is its one spelling is seen when the header is made again."""
    raw = header[BLOCK:-BLOCK] if len(header) > BLOCK else header[:_SHORT]
    return raw.rstrip(b"\0").decode("ascii", "replace")


def size_of(block: bytes) -> int:
    """Return the size that a block tells.

    Raises:
        ValueError: it tells none.
    """
    field = block[_SIZE]
    if field[0] == _BASE_256:
        return int.from_bytes(field[1:], "big")
    if not _OCTAL.match(field):  # `int` takes signs, spaces and underscores too
        raise ValueError("no size")
    return int(field[:-1], 8)


def whole_blocks(size: int) -> int:
    """Return ``size``, rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _header_block(name: bytes, size: int, kind: bytes, mode: int) -> bytes:
    """Return a block of GNU tar: owner, group and time are 0, all that is optional is empty."""
    length = b"%011o\0" % size if size < 8**11 else bytes([_BASE_256]) + size.to_bytes(11, "big")
    numbers = b"%07o\0" % mode + b"0000000\0" * 2 + length + b"%011o\0" % 0
    start, end = name.ljust(_SHORT, b"\0") + numbers, kind + bytes(100) + b"ustar  \0"
    end = end.ljust(BLOCK - len(start) - 8, b"\0")
    # A block's sum counts its own eight bytes as spaces (POSIX, ustar).
    return start + b"%06o\0 " % sum(start + b" " * 8 + end) + end

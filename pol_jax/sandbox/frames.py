"""Messages on a pipe as bytes: a length, then this many bytes, as `multiprocessing.connection` writes them.

The child uses that library's blocking calls. The caller must not: a message that is begun and never ended would hold
it for ever, so it reads and writes with deadlines (`pol_jax.sandbox.process`).
"""

from __future__ import annotations

import struct
from typing import Final

_LENGTH: Final = struct.Struct("!i")

HEADER_BYTES: Final = _LENGTH.size


def frame(content: bytes) -> bytes:
    """Return ``content`` with its length before it.

    Raises:
        ValueError: it has 2 GiB or more.
    """
    if len(content) > 2**31 - 1:
        raise ValueError(f"a message has {len(content)} bytes, expected less than 2 GiB")
    return _LENGTH.pack(len(content)) + content


def frame_length(header: bytes, most: int) -> int:
    """Return the length that a header announces.

    Raises:
        ValueError: it is none, or larger than ``most``.
    """
    (length,) = _LENGTH.unpack(header)
    # Below 0, `multiprocessing` announces a longer header, which no message of ours has.
    if not 0 <= length <= most:
        raise ValueError(f"a message announces {length} bytes, expected at most {most}")
    return int(length)

"""Archives that are put together from single members, right ones and others."""

from __future__ import annotations

import tarfile


def member(name: str, content: bytes = b"x", **fields: object) -> bytes:
    """A member of an archive, with the fields of its header as they are given."""
    found = tarfile.TarInfo(name)
    found.size = len(content)
    found.mode = 0o644
    for field, value in fields.items():
        setattr(found, field, value)
    return found.tobuf(tarfile.GNU_FORMAT, "ascii") + content.ljust(-(-len(content) // 512) * 512, b"\0")


END = bytes(1024)
GOOD = member("a") + END

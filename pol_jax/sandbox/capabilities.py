"""Capabilities: what Linux lets root do beyond files; a child that root started needs none of it (capabilities(7))."""

from __future__ import annotations

import ctypes
import struct
import sys
from typing import Final

_VERSION: Final = 0x20080522
"""The kernel's third version of these calls: capabilities come in two words for each of three sets."""
_READ_FILES_OF_OTHERS: Final = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, so that root can verify what another user owns."""


def drop_capabilities() -> bool:
    """Keep none but those to read files of others: not memory of processes, not the kernel's; call it first.

    Returns:
        Whether no other is left; a system without capabilities has none.
    """
    if sys.platform != "linux":
        return True
    system = ctypes.CDLL(None)
    header, held = struct.pack("=Ii", _VERSION, 0), ctypes.create_string_buffer(24)
    if system.capget(header, held):
        return False
    effective, permitted, _, *others = struct.unpack("=6I", held.raw)
    # Nothing is inheritable, so that a program that is started has none of them.
    kept = (effective & _READ_FILES_OF_OTHERS, permitted & _READ_FILES_OF_OTHERS, 0, *(0 for _ in others))
    return bool(system.capset(header, struct.pack("=6I", *kept)) == 0)

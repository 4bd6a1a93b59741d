"""Memory of a large state that was freed is given back at once; otherwise the next state finds it still taken.

Orbax leaves the arrays of a save in reference cycles until Python looks for some, and the copy of a state with them, on
accelerators too. And glibc keeps what one thread has freed from others, which can be a state more.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

LARGE: Final = 2**26
"""A state of fewer bytes is not worth it: little is kept for nothing, and this takes a tenth of a second."""


def give_memory_back(freed: int) -> None:
    """Free what only cycles refer to, and return freed memory to the system, if this many bytes were freed."""
    free_cycles(freed)
    return_to_system(freed)


def free_cycles(held: int) -> None:
    """Free what only cycles refer to, if that may be this many bytes."""
    if held > LARGE:
        gc.collect()


def return_to_system(freed: int) -> None:
    """Return freed memory to the system, if this many bytes were freed."""
    if freed > LARGE:
        with suppress(OSError, AttributeError):  # another C library has no such function
            ctypes.CDLL(None).malloc_trim(0)

"""Seccomp: a filter on system calls, here one that lets a process, its later threads and children make no socket.

Landlock knows TCP alone; this closes the rest: UDP, name look-ups, the sockets of services of the machine. Pairs of
sockets that are connected with each other, as event loops make them, stay possible.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from typing import Final

_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_NUMBER, _ARCHITECTURE = 0, 4  # places in what a filter sees

_IO_URING_SETUP: Final = 425
_OTHER_ABI: Final = 0x40000000  # x32: other numbers for the same calls

_MACHINES: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""For each machine: what it is to the kernel, and the number of ``socket``."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_sockets() -> bool:
    """Refuse to make sockets (EACCES), from now on, in this thread and all that it starts; call it first.

    Returns:
        Whether it is so; not on other systems or machines, or kernels without seccomp.
    """
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    architecture, socket = _MACHINES[platform.machine()]
    code = b"".join(
        struct.pack("=HBBI", *each)
        for each in (
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_IF_EQUAL, 0, 5, architecture),  # jumps: so many lines further, if so, and if not
            (_LOAD, 0, 0, _NUMBER),
            (_IF_AT_LEAST, 3, 0, _OTHER_ABI),
            (_IF_EQUAL, 2, 0, _IO_URING_SETUP),  # would make sockets without a call
            (_IF_EQUAL, 1, 0, socket),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _REFUSE),
        )
    )
    program = _Program(len(code) // 8, code)
    system = ctypes.CDLL(None)
    if system.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    return not system.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)

"""Seccomp: a filter on system calls for a process, its later threads and children; none of them can take it back.

Landlock knows files and TCP. The filter closes the rest: sockets of any kind, what reaches a file without opening it,
other processes, keys, shared memory and namespaces (`pol_jax.sandbox.system_calls`). Pairs of sockets that are
connected with each other, as event loops make them, stay possible.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Iterable
from typing import Final, TypeAlias

from pol_jax.sandbox.system_calls import MACHINES, SystemCalls

_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 32
"""Places in what a filter sees. Of an argument's 8 bytes a filter loads the lower 4, the first ones on both kinds of
machines; the calls that are looked at here take no more."""
_ALLOW: Final = 0x7FFF0000
_ERROR: Final = 0x00050000

_OTHER_ABI: Final = 0x40000000
"""Calls have x32 numbers from here on: other numbers of x86-64 for the same calls."""

_CLONE_THREAD: Final = 0x00010000
_NEW_NAMESPACES: Final = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000

_INTERNET: Final = (2, 10)
"""AF_INET and AF_INET6: with them, nothing but what is in the network of a process is reached."""

_NETLINK, _ROUTE = 16, 0
"""By this family and protocol, gloo asks which devices the network has."""

_Instruction: TypeAlias = tuple[int, int, int, int]
"""An instruction has an operation, how many lines to jump if true and if false, and an operand."""


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def filter_calls(*, processes: bool, sockets: bool = False) -> bool:
    """Refuse what `system_calls` lists (EACCES), from now on, in this thread and all that it starts; call it first.

    Args:
        processes: whether new processes may be started; threads always may.
        sockets: whether sockets of the internet's families may be made, by a process that is alone in its network.

    Returns:
        Whether it is so; not on other systems or machines, or kernels without seccomp.
    """
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return False
    code = b"".join(struct.pack("=HBBI", *each) for each in _filter(MACHINES[platform.machine()], processes, sockets))
    program = _FilterProgram(len(code) // 8, code)
    system = ctypes.CDLL(None)
    if system.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    return not system.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)


def _filter(calls: SystemCalls, processes: bool, sockets: bool) -> list[_Instruction]:
    """Return the filter: each check stands by itself, so that no jump is longer than a check."""
    lines: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        # Another architecture has other numbers for the same calls, so its calls are refused altogether.
        (_IF_EQUAL, 1, 0, calls.architecture),
        _refuse(),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _OTHER_ABI),
        _refuse(),
        (_IF_EQUAL, 0, 1, calls.clone3),
        _refuse(errno.ENOSYS),  # the C library then calls clone, whose flags can be seen
    ]
    lines += _refuse_all(calls.refused.values())
    lines += [] if processes else _refuse_all(calls.new_processes.values())
    lines += _sockets(calls.socket) if sockets else _refuse_all([calls.socket])
    for number in calls.own_alone.values():
        lines += [(_IF_EQUAL, 0, 4, number), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_IF_EQUAL, 0, 1, 0), _allow(), _refuse()]
    # Threads and processes are made by one call; the flag tells which.
    only_threads = [] if processes else [(_IF_ANY_BIT, 1, 0, _CLONE_THREAD), _refuse()]
    flags = [(_LOAD, 0, 0, _FIRST_ARGUMENT), (_IF_ANY_BIT, 0, 1, _NEW_NAMESPACES), _refuse(), *only_threads]
    return [*lines, (_IF_EQUAL, 0, len(flags), calls.clone), *flags, _allow()]


def _sockets(number: int) -> list[_Instruction]:
    """Return what allows sockets of the internet's families, and questions about the devices of the network."""
    internet = [line for family in _INTERNET for line in ((_IF_EQUAL, 0, 1, family), _allow())]
    routes = [(_IF_EQUAL, 0, 3, _NETLINK), (_LOAD, 0, 0, _THIRD_ARGUMENT), (_IF_EQUAL, 0, 1, _ROUTE), _allow()]
    checks = [(_LOAD, 0, 0, _FIRST_ARGUMENT), *internet, *routes, _refuse()]
    return [(_IF_EQUAL, 0, len(checks), number), *checks]


def _refuse_all(numbers: Iterable[int]) -> list[_Instruction]:
    return [line for number in numbers for line in ((_IF_EQUAL, 0, 1, number), _refuse())]


def _refuse(error: int = errno.EACCES) -> _Instruction:
    return _RETURN, 0, 0, _ERROR | error


def _allow() -> _Instruction:
    return _RETURN, 0, 0, _ALLOW

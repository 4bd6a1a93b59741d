"""Landlock: Linux restricts what a process and all that it starts may open; none of them can take that back.

By the kernel's numbers (landlock(7), linux/landlock.h), since no library of Python's has them. What a kernel doesn't
know yet is left out of the request, and the caller is told.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import IntFlag
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_SET_NO_NEW_PRIVILEGES = 38
_CONNECT_AND_BIND_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11


class Right(IntFlag):
    """A right is something that may be done to files beneath a path, by the kernel's bits."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_FOLDER = 1 << 3
    REMOVE_FOLDER = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_DEVICE = 1 << 6
    MAKE_FOLDER = 1 << 7
    MAKE_FILE = 1 << 8
    MAKE_SOCKET = 1 << 9
    MAKE_PIPE = 1 << 10
    MAKE_BLOCK_DEVICE = 1 << 11
    MAKE_LINK = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    CONTROL_DEVICE = 1 << 15


READ: Final = Right.READ_FILE | Right.READ_FOLDER
RUN: Final = READ | Right.EXECUTE
USE: Final = Right.READ_FILE | Right.WRITE_FILE | Right.TRUNCATE | Right.READ_FOLDER | Right.CONTROL_DEVICE
WRITE: Final = (READ | Right.WRITE_FILE | Right.TRUNCATE | Right.REFER) | (
    Right.MAKE_FILE | Right.MAKE_FOLDER | Right.REMOVE_FILE | Right.REMOVE_FOLDER
)

_OF_FILES: Final = Right.EXECUTE | Right.READ_FILE | Right.WRITE_FILE | Right.TRUNCATE | Right.CONTROL_DEVICE


def restrict(allowed: Mapping[Right, Iterable[str]], *, tcp: bool = False) -> int:
    """Take from this thread, and all that it starts from now on, every right over files that isn't allowed.

    TCP, and signals and abstract sockets to processes outside, are taken too, from the versions on that know them.
    A process that started threads before keeps them unrestricted: call it first.

    Args:
        allowed: rights, and the paths of the files, or of the folders with all beneath, over which to keep them; a path
            that is not there is passed over.
        tcp: whether TCP stays allowed, for a process that is alone in its network.

    Returns:
        The kernel's version of Landlock, 0 if it has none and nothing is restricted. Versions below 3 don't restrict
        that files are cut, below 4 the network, below 6 signals.
    """
    version = _version()
    if version < 1:
        return 0
    # A kernel refuses a request with rights that it does not know, so each version is asked for those that it has.
    known = Right((1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1)
    network = _CONNECT_AND_BIND_TCP if version >= 4 and not tcp else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    attributes = struct.pack("=QQQ", known, network, scoped)  # a kernel takes a longer one, if what it adds is zero
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for rights, paths in allowed.items():
            for path in paths:
                # What this user can't open needs no rule: it is refused without one.
                with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                    _allow(rules, rights & known, path)
        _no_new_privileges()
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    return version


def _version() -> int:
    if sys.platform != "linux":
        return 0
    try:
        return _call(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:  # built without it, or switched off
        return 0


def _allow(rules: int, rights: Right, path: str) -> None:
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mode = os.fstat(file).st_mode
        # The kernel refuses a rule that gives rights over directories to a file.
        allowed = rights if stat.S_ISDIR(mode) else rights & _OF_FILES
        _call(_ADD_RULE, rules, _RULE_PATH_BENEATH, struct.pack("=Qi", allowed, file), 0)
    finally:
        os.close(file)


def _no_new_privileges() -> None:
    """Give up, for all programs that are started, more rights than this one has; the kernel asks for that first."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")


def _call(number: int, *arguments: int | bytes | None) -> int:
    words = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    result = ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return int(result)

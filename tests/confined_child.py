"""Marks and types of tests that try what a confined child may do."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

import pytest

from pol_jax.sandbox import landlock
from pol_jax.sandbox.system_calls import MACHINES

NONCE = b"a nonce of these tests"


needs_landlock = pytest.mark.skipif(landlock._version() < 3, reason="this kernel has no Landlock of version 3")


Trying = Callable[..., dict[str, str]]


CALL = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    words = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        raise OSError(ctypes.get_errno(), 'refused')
"""
"""Makes system calls that Python has no name for."""


needs_filter = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in MACHINES, reason="no filter on system calls for this machine"
)

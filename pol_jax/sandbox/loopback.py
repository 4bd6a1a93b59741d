"""A network of a process's own, with nobody else in it: gloo, which sums over devices of a CPU, speaks TCP with itself.

The process gets new namespaces of Linux for users, networks and the host's name. In the new network there is the
loopback device alone: no address of the machine, of its neighbours or of the world can be reached.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Final

_NEW_USER, _NEW_NETWORK, _NEW_HOST_NAME = 0x10000000, 0x40000000, 0x04000000
_SET_FLAGS, _UP, _RUNNING = 0x8914, 0x1, 0x40
"""The kernel's numbers: CLONE_NEWUSER, CLONE_NEWNET and CLONE_NEWUTS; SIOCSIFFLAGS, IFF_UP and IFF_RUNNING."""

ADDRESS: Final = "127.0.0.1"


def enter() -> bool:
    """Enter a network of this process's own; call it before any thread is started.

    Returns:
        Whether it is so; not on other systems, or where processes may not have namespaces of their own.
    """
    user, group = os.getuid(), os.getgid()
    if sys.platform != "linux" or ctypes.CDLL(None).unshare(_NEW_USER | _NEW_NETWORK | _NEW_HOST_NAME):
        return False
    try:
        # The kernel asks for this before it lets an unprivileged process map a group.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP | _RUNNING))
        socket.sethostname(ADDRESS)  # gloo binds to the address of the host's name
    except OSError:
        return False
    return True

"""A process is confined to files that Python and jax need, to the proof and to a scratch folder; it has no network.

This is imported before anything that starts threads: what is taken from a thread is taken only from those that it
starts afterwards.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from glob import glob

from pol_jax.sandbox.capabilities import drop_capabilities
from pol_jax.sandbox.landlock import READ, RUN, USE, WRITE, restrict
from pol_jax.sandbox.loopback import enter
from pol_jax.sandbox.seccomp import filter_calls

_LIBRARIES = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store", "/opt/rocm*")
_SETTINGS = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/proc", "/sys"),
)
_SOURCES = ("/dev/zero", "/dev/random", "/dev/urandom")
_ACCELERATORS = ("/dev/nvidia*", "/dev/dri", "/dev/kfd", "/dev/accel*", "/dev/vfio", "/dev/dxg")
"""Devices are opened one by one: among the others are the disks, and the shared memory of other programs."""


def confine(
    readable: Sequence[str], writable: Sequence[str], *, processes: bool = True, loopback: bool = False
) -> list[str]:
    """Keep this process to what it needs.

    Args:
        readable: files, or folders with all in them, that it may read beside Python's and the system's.
        writable: folders in which it may write.
        processes: whether it may start others, as it does to replay in several. Where there is an accelerator it may
            all the same: a compiler for GPUs is a program of its own.
        loopback: whether it may speak TCP with itself, in a network of its own.

    Returns:
        What this system does not restrict, one line each.
    """
    # Absolute paths alone: a relative one would follow the current directory, which may be the proof's.
    python = (sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(os.path.isabs, sys.path))
    loaded = filter(os.path.isabs, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    accelerators = _found(_ACCELERATORS)
    # Before anything is restricted: a new network needs calls that the filter forbids.
    alone = loopback and enter()
    # The filter of system calls comes last, because it forbids some that the steps before it make.
    version = restrict(
        {
            RUN: [*python, *loaded, *_found(_LIBRARIES)],
            READ: [*_SETTINGS, *_SOURCES, *readable],
            USE: ["/dev/null", *accelerators],
            WRITE: writable,
        },
        tcp=alone,
    )
    # A verification by root would else keep rights over processes and devices, which Landlock does not restrict.
    dropped = drop_capabilities()
    filtered = filter_calls(processes=processes or bool(accelerators), sockets=alone)
    open_still = {
        "file access": version < 1,
        "cutting files": 1 <= version < 3,
        "network": not filtered and version < 4,
        "signals": version < 6,
        "rights of root": not dropped,
        "other system calls": not filtered,
    }
    missing = ["no network of its own here, which the run's collectives need"] if loopback and not alone else []
    return missing + [f"{what} not restricted here" for what, still in open_still.items() if still]


def has_accelerator() -> bool:
    """Return whether a process here could compute on something else than processors."""
    return bool(_found(_ACCELERATORS))


def _found(patterns: Sequence[str]) -> list[str]:
    return [path for pattern in patterns for path in glob(pattern)]

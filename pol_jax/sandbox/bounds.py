"""Bounds on the child: what the caller allows, and how the child holds itself to it."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_BYTES: Final = 2**28
"""The largest file that the child may write: a compiled program that is kept. For a ResNet-20 that is 0.3 MB; it grows
with the code of a model, not with its weights. What is larger is compiled each time."""


MORE_TASKS: Final = 4096
"""A verification may add this many processes and threads to its user's: each process has a few hundred threads."""


@dataclass(frozen=True)
class Bounds:
    """Bounds say what the child that verifies may take.

    Attributes:
        silence_seconds: how long it may say nothing: compile, or execute one step, or read one checkpoint.
        total_seconds: how long the whole verification may take, or None.
        memory_bytes: of data in the memory of one process; None for what follows from the proof's documents while it is
            parsed, and for a share of the machine's memory while its program is executed (`pol_jax.sandbox.memory`).
        confined: whether to keep it from files and network that it doesn't need, where the system can. A backend that
            needs more than `pol_jax.sandbox.confinement` knows can be used with False; the report says so.
    """

    silence_seconds: int | float = 900
    total_seconds: int | float | None = None
    memory_bytes: int | None = None
    confined: bool = True


def be_killed_first() -> None:
    """Ask the kernel to kill this process before any other when memory runs out; called before it is confined."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def limit_resources() -> None:
    """Let this process write no huge file, dump no core, and start no flood of processes or threads."""
    # Writing more is then an error that XLA handles, and no signal that kills the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = FILE_BYTES if most == resource.RLIM_INFINITY else min(FILE_BYTES, most)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    # A core dump would hold the records of a private data set.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # there is no /proc, or the limit is lower already
        limit = _tasks_of_user() + MORE_TASKS
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


def _tasks_of_user() -> int:
    """Return how many processes and threads this user has, which is what Linux bounds; it bounds none of root's."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is not shown
            if process.stat().st_uid == os.getuid():
                count += len(os.listdir(process / "task"))
    return count


def limit_memory(data_bytes: int | None) -> None:
    """Let this process, and each that it starts from now on, have no more data than this in memory.

    A later call may allow more: a process that parses may take less than one that executes.
    """
    if data_bytes is None:
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = data_bytes if most == resource.RLIM_INFINITY else min(data_bytes, most)
    # The hard limit stays, so that more can be allowed when the program is executed.
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, most))

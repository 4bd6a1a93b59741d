"""The sandbox's child as a thread of this process: all that is said crosses a pipe, and no interpreter is started.

For tests of what is verified and what is printed. Whatever is about the process, its bounds or its confinement needs
the true one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from threading import Thread
from unittest.mock import patch

from pol_jax.sandbox import child
from pol_jax.sandbox.process import Process


class NoProcess(subprocess.Popen[bytes]):
    """Stands for the child's process: it has ended with an error, as far as anyone asks."""

    def __init__(self) -> None:
        self.returncode = 1

    def wait(self, timeout: float | None = None) -> int:
        return 1

    def __del__(self) -> None: ...


@contextmanager
def serving_thread(
    readable: Sequence[str], confined: bool, *, processes: bool = False, loopback: bool = False
) -> Iterator[Process]:
    """In place of `pol_jax.sandbox.process.child_process`."""
    ours, theirs = Pipe()
    handle = os.dup(theirs.fileno())
    theirs.close()

    # Its own end and its own limits would be this process's.
    with (
        ours,
        tempfile.TemporaryFile() as noise,
        patch.object(child, "exit_with"),
        patch.object(child, "limit_resources"),
    ):

        def serve() -> None:
            try:
                child.serve(handle, os.getpid(), [] if confined else ["file access and network not restricted"])
            except (EOFError, OSError):  # the caller has heard enough
                pass
            except BaseException:  # noqa: BLE001  # told, like any last line of a child
                noise.write(traceback.format_exc().encode())

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Process(ours, NoProcess(), noise)
        finally:
            ours.close()
            thread.join(60)

"""The sandbox's child as a thread of this process: all that is said crosses a pipe, and no interpreter is started.

For tests of what is verified and what is printed. Whatever is about the process, its bounds or its confinement needs
the true one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe
from threading import Thread
from types import ModuleType
from unittest.mock import patch

from pol_jax.sandbox import child, reading
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
    """In place of `pol_jax.sandbox.starting.child_process`."""
    with serving(
        child,
        lambda handle: child.serve(handle, os.getpid(), [] if confined else ["file access and network not restricted"]),
    ) as process:
        yield process


@contextmanager
def reading_thread(root: str) -> Iterator[Process]:
    """In place of `pol_jax.sandbox.starting.reading_process`."""
    with serving(reading, lambda handle: reading.serve(handle, os.getpid(), [])) as process:
        yield process


@contextmanager
def serving(module: ModuleType, serve: Callable[[int], None]) -> Iterator[Process]:
    """Serve in a thread; ``module`` gets no end and no limits of its own, which would be this process's."""
    ours, theirs = Pipe()
    handle = os.dup(theirs.fileno())
    theirs.close()
    with ExitStack() as patched, ours, tempfile.TemporaryFile() as noise:
        for name in ("exit_with", "limit_resources", "limit_memory"):
            patched.enter_context(patch.object(module, name))

        def work() -> None:
            try:
                serve(handle)
            except (EOFError, OSError):  # the caller has heard enough
                pass
            except BaseException:  # noqa: BLE001  # told, like any last line of a child
                noise.write(traceback.format_exc().encode())

        thread = Thread(target=work, daemon=True, name="confined")
        thread.start()
        try:
            yield Process(ours, NoProcess(), noise)
        finally:
            ours.close()
            thread.join(60)

"""The process that reads a proof, as its caller sees it: started, spoken to, killed.

Nothing that it says is unpickled; that it died or fell silent is an answer too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import IO

import msgspec

from pol_jax import errors
from pol_jax.program.compilation_cache import cache_settings
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.messages import FromChild, ToChild, ToWorker

_MOST_BYTES = 2**28
"""The largest message that the caller reads from the child."""

# Confined first: what is imported later starts threads, which would go free.
_CODE = """
import sys
from pol_jax.sandbox.bounds import go_first
from pol_jax.sandbox.confinement import confine
handle, caller, confined, scratch, cache, *readable = sys.argv[1:]
go_first()
writable = [folder for folder in (scratch, cache) if folder]
unrestricted = confine(readable, writable) if confined == "True" else ["file access and network not restricted"]
from pol_jax.sandbox.child import serve
serve(int(handle), int(caller), unrestricted)
"""


class Lost(Exception):
    """The child died, fell silent, or is no longer itself."""


@dataclass(frozen=True)
class Child:
    """The child, as the caller sees it.

    Attributes:
        connection: to it.
        process: its process.
        noise: what its libraries print.
    """

    connection: Connection
    process: subprocess.Popen[bytes]
    noise: IO[bytes]

    def send(self, message: ToChild | ToWorker) -> None:
        """Say something.

        Raises:
            Lost: it is dead.
        """
        try:
            self.connection.send_bytes(msgspec.msgpack.encode(message))
        except OSError as error:
            raise Lost(self.how_it_died()) from error

    def receive(self, bounds: Bounds, end: float = inf) -> FromChild:
        """Wait for a message: not for ever, and not beyond ``end``, since who never ends may well talk all the time.

        Args:
            bounds: on its silence.
            end: on the monotonic clock.

        Raises:
            Lost: it is dead, silent, or says what no child says.
        """
        left = end - monotonic()
        try:
            if left <= 0 or not self.connection.poll(min(bounds.silence_seconds, left)):
                if left <= bounds.silence_seconds:
                    raise Lost(f"took more than the {bounds.total_seconds:g} s that it has in all")
                raise Lost(f"said nothing for {bounds.silence_seconds:g} s")
            content = self.connection.recv_bytes(_MOST_BYTES)
            return msgspec.msgpack.decode(content, type=FromChild)  # type: ignore[no-any-return]
        except (EOFError, OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Lost(self.how_it_died()) from error

    def how_it_died(self) -> str:
        """What is known about its end, in words."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.returncode
        if code is not None and code < 0:
            return f"died of {_signal_name(-code)}"
        self.noise.seek(0)
        lines = self.noise.read(2**20).decode(errors="replace").strip().splitlines()
        return "ended without a report" + (f": {errors.printable(lines[-1][:200])}" if lines else "")


@contextmanager
def started(readable: Sequence[str], confined: bool) -> Iterator[Child]:
    """A process that serves one request; killed when it is no longer needed.

    Args:
        readable: absolute paths of the files, or of the folders with all in them, that it is to read.
        confined: whether it is kept from other files, and from the network.
    """
    settings = cache_settings()
    cache = settings.get("JAX_COMPILATION_CACHE_DIR", "")
    with _scratch() as scratch:
        with launched(_CODE, [str(confined), scratch, cache, *readable], TMPDIR=scratch, **settings) as child:
            yield child


@contextmanager
def launched(code: str, arguments: Sequence[str] = (), **environment: str) -> Iterator[Child]:
    """A process that runs ``code`` of ours; killed when it is no longer needed. It is confined as this process is.

    Args:
        code: Python.
        arguments: for it, after the handle of its pipe and the number of this process.
        environment: variables beside this process's.
    """
    ours, theirs = Pipe()
    with ours, tempfile.TemporaryFile() as noise:
        # -P and no relative path: a module that lies in the current directory, or in the proof, is not imported.
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
            [sys.executable, "-P", "-c", code, str(theirs.fileno()), str(os.getpid()), *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=noise,
            stderr=noise,
            cwd="/",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(_module_paths())} | environment,
        )
        theirs.close()
        try:
            yield Child(ours, process, noise)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _scratch() -> Iterator[str]:
    """A folder for the child; whatever it left there, the caller goes on."""
    folder = tempfile.mkdtemp(prefix="pol-")
    try:
        yield folder
    finally:
        with suppress(OSError, RecursionError):
            shutil.rmtree(folder)


def _module_paths() -> list[str]:
    """Where the child finds this package: beside itself, and on the caller's absolute paths."""
    mine = str(Path(__file__).resolve().parents[1])
    return [mine, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(path))]


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"

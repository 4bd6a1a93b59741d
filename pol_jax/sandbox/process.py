"""A process of ours, as the one sees it that starts it: started, spoken to, killed.

Nothing that it says is unpickled. That it died or fell silent is an answer too.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from select import POLLIN, POLLOUT
from time import monotonic
from typing import IO, Final, TypeVar

import msgspec

from pol_jax import errors
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.frames import HEADER_BYTES, frame, frame_length
from pol_jax.sandbox.variables import visible_variables

_MOST_BYTES: Final = 2**28
"""The largest message that the caller reads from the child."""

_AT_ONCE: Final = 2**20
"""Bytes of a message that are read at once: memory is taken as a message comes, not as its length says."""

_NO_MEMORY: Final = ("MemoryError", "bad_alloc", "Cannot allocate memory", "RESOURCE_EXHAUSTED", "out of memory")
"""What Python, C++, the system, XLA and Arrow print when memory runs out."""

_LAST_LINES: Final = 40

# Confined first: Landlock and seccomp hold for threads that are started later, and imports of jax start some.
_CODE = """
import sys
from pol_jax.sandbox.bounds import be_killed_first
from pol_jax.sandbox.confinement import confine
handle, caller, confined, processes, loopback, scratch, *readable = sys.argv[1:]
be_killed_first()
unrestricted = ["file access and network not restricted"]
if confined == "True":
    unrestricted = confine(readable, [scratch], processes=processes == "True", loopback=loopback == "True")
from pol_jax.sandbox.child import serve
serve(int(handle), int(caller), unrestricted)
# All is said and written. To shut jax and Orbax down in order would take longer than many steps.
import os
os._exit(0)
"""


Message = TypeVar("Message")


class ProcessLost(Exception):
    """The process died, fell silent, or says what no process of ours says."""


@dataclass(frozen=True)
class Process:
    """A process that was started.

    Attributes:
        connection: to it.
        popen: runs it.
        output: what its libraries print.
    """

    connection: Connection
    popen: subprocess.Popen[bytes]
    output: IO[bytes]

    def send(self, message: msgspec.Struct, end: float = inf) -> None:
        """Send a message. A process that doesn't read holds this one no longer than ``end``, on the monotonic clock.

        Raises:
            ProcessLost: it is dead, or doesn't read.
        """
        content = memoryview(frame(msgspec.msgpack.encode(message)))
        try:
            while content:
                self._wait(POLLOUT, end)
                content = content[os.write(self.connection.fileno(), content) :]
        except TimeoutError:
            raise ProcessLost("doesn't read what it asked for") from None
        except OSError as error:
            raise ProcessLost(self.describe_end()) from error

    def receive(
        self, decode: Callable[[bytes], Message], bounds: Bounds, end: float = inf, most: int = _MOST_BYTES
    ) -> Message:
        """Wait for a message, but not for ever.

        Silence is bounded, and so is the time in all: a process that never ends may well talk all the time.

        Args:
            decode: of the messages that are expected.
            bounds: on its silence; a message that is begun and not ended is silence too.
            end: of the time that it has in all, on the monotonic clock.
            most: bytes of a message.

        Raises:
            ProcessLost: it is dead or silent, or says what no process of ours says.
        """
        # One deadline for the whole message: a process that sends a byte a minute is as silent as one that sends
        # nothing.
        silent = monotonic() + bounds.silence_seconds
        try:
            length = frame_length(self._read(HEADER_BYTES, min(silent, end)), most)
            return decode(self._read(length, min(silent, end)))
        except TimeoutError:
            if end <= silent:
                raise ProcessLost(f"took more than the {bounds.total_seconds:g} s that it has in all") from None
            raise ProcessLost(f"said nothing for {bounds.silence_seconds:g} s") from None
        except (EOFError, OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise ProcessLost(self.describe_end()) from error

    def _read(self, size: int, end: float) -> bytes:
        """Return exactly ``size`` bytes."""
        content = bytearray()
        while len(content) < size:
            self._wait(POLLIN, end)
            more = os.read(self.connection.fileno(), min(size - len(content), _AT_ONCE))
            if not more:
                raise EOFError
            content += more
        return bytes(content)

    def _wait(self, event: int, end: float) -> None:
        """Wait until the pipe is ready; no longer than ``end``, after which nothing is heard, ready or not."""
        poll, left = select.poll(), end - monotonic()
        poll.register(self.connection, event)
        ready = poll.poll(None if left == inf else max(left, 0) * 1000)
        if not ready or (left <= 0 and event == POLLIN):
            raise TimeoutError

    def ended_well(self) -> bool:
        """Return whether the process ends by itself, without an error."""
        with suppress(subprocess.TimeoutExpired):
            return self.popen.wait(5) == 0
        return False

    def describe_end(self) -> str:
        """Return what is known about its end, in words."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        code = self.popen.returncode
        self.output.seek(0)
        lines = self.output.read(2**20).decode(errors="replace").strip().splitlines()
        if any(word in line for line in lines[-_LAST_LINES:] for word in _NO_MEMORY):
            return "needs more memory than it may take"
        if code is not None and code < 0:
            return f"died of {_signal_name(-code)}"
        return "ended without a report" + (f": {errors.printable(lines[-1][:200])}" if lines else "")


@contextmanager
def child_process(
    readable: Sequence[str], confined: bool, *, processes: bool = False, loopback: bool = False
) -> Iterator[Process]:
    """Start a process that serves one request; it and all that it started are killed when it is no longer needed.

    Args:
        readable: absolute paths of the files, or of the folders with all in them, that it is to read.
        confined: whether it is kept from other files, and from the network.
        processes: whether it may start others.
        loopback: whether it may speak TCP with itself.
    """
    from pol_jax.sandbox import compiled_programs  # it starts jax, which commands that only read do without

    # The key is taken before and after: compiled programs are kept only if the files are those that were read.
    files = compiled_programs.read_files(readable)
    key = compiled_programs.reading_key(files)
    with _scratch() as scratch:
        programs = Path(scratch) / "compiled"
        compiled_programs.provide(programs, key)
        given = compiled_programs.given_cache()
        arguments = [str(confined), str(processes), str(loopback), scratch, *readable, *([str(given)] if given else [])]
        variables = {"TMPDIR": scratch, **compiled_programs.cache_settings(programs)}
        with python_process(_CODE, arguments, variables, own_group=True) as process:
            yield process
            ended_well = process.ended_well()
        if ended_well and compiled_programs.reading_key(files) == key:
            compiled_programs.keep(programs, key)


@contextmanager
def reading_process(root: str) -> Iterator[Process]:
    """Start a confined process that parses files of the proof in ``root`` (`pol_jax.sandbox.reader`), and no more."""
    code = _CODE.replace("pol_jax.sandbox.child", "pol_jax.sandbox.reading")
    with _scratch() as scratch:
        arguments = ["True", "False", "False", scratch, root]
        with python_process(code, arguments, {"TMPDIR": scratch}, own_group=True) as process:
            yield process


@contextmanager
def python_process(
    code: str, arguments: Sequence[str], environment: Mapping[str, str], *, own_group: bool = False
) -> Iterator[Process]:
    """Start a process that runs ``code`` of ours; killed when it is no longer needed. It is confined as this one is.

    Args:
        code: Python.
        arguments: for it, after the handle of its pipe and the number of this process.
        environment: variables beside those of this process that it may see (`visible_variables`).
        own_group: whether to make it the head of a process group, and to kill the whole group in the end: confined
            processes can't leave theirs.
    """
    ours, theirs = Pipe()
    with ours, tempfile.TemporaryFile() as output:
        # -P and no relative path: a module that lies in the current directory, or in the proof, is not imported.
        popen = subprocess.Popen(  # noqa: S603  # our own interpreter and code
            [sys.executable, "-P", "-c", code, str(theirs.fileno()), str(os.getpid()), *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=visible_variables() | {"PYTHONPATH": os.pathsep.join(_module_paths())} | dict(environment),
            process_group=0 if own_group else None,
        )
        theirs.close()
        try:
            yield Process(ours, popen, output)
        finally:
            if own_group:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(popen.pid, signal.SIGKILL)
            popen.kill()
            popen.wait()


@contextmanager
def _scratch() -> Iterator[str]:
    """Make a folder for the child. That something in it can't be removed is no reason to lose a report."""
    folder = tempfile.mkdtemp(prefix="pol-")
    try:
        yield folder
    finally:
        with suppress(OSError, RecursionError):
            shutil.rmtree(folder)


def _module_paths() -> list[str]:
    """Return where the process finds this package: beside this one, and on this process's absolute paths."""
    beside_us = str(Path(__file__).resolve().parents[2])
    return [beside_us, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(path))]


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"

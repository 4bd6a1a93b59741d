"""A process of ours answers messages over a pipe; this is the side of the process that has started it.

Nothing that it says is unpickled. That it died or fell silent is an answer too.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from multiprocessing.connection import Connection
from select import POLLIN, POLLOUT
from time import monotonic
from typing import IO, Final, TypeVar

import msgspec

from pol_jax import errors
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.frames import HEADER_BYTES, frame, frame_length

_MOST_BYTES: Final = 2**28
"""The largest message that the caller reads from the child."""

_AT_ONCE: Final = 2**20
"""This many bytes of a message are read at once: memory is taken as a message comes, not as its length says."""

_NO_MEMORY: Final = ("MemoryError", "bad_alloc", "Cannot allocate memory", "RESOURCE_EXHAUSTED", "out of memory")
"""Python, C++, the system, XLA and Arrow print one of these when memory runs out."""

_LAST_LINES: Final = 40


Message = TypeVar("Message")


class ProcessLost(Exception):
    """The process died, fell silent, or says what no process of ours says."""


@dataclass(frozen=True)
class Process:
    """A process is one that was started, at the other end of a pipe.

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
            # No more than this message, or the next one's first bytes would be lost.
            more = os.read(self.connection.fileno(), min(size - len(content), _AT_ONCE))
            if not more:
                raise EOFError
            content += more
        return bytes(content)

    def _wait(self, event: int, end: float) -> None:
        """Wait until the pipe is ready; no longer than ``end``, after which nothing is heard, ready or not."""
        poll, left = select.poll(), end - monotonic()
        poll.register(self.connection, event)
        # Only the pipe is waited for: a child that dies closes its end, and that is an event too.
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
        # Running out of memory has a cure (``--memory``), so it is told apart from other ends.
        if any(word in line for line in lines[-_LAST_LINES:] for word in _NO_MEMORY):
            return "needs more memory than it may take"
        if code is not None and code < 0:
            return f"died of {_signal_name(-code)}"
        return "ended without a report" + (f": {errors.printable(lines[-1][:200])}" if lines else "")


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"

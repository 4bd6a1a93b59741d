"""A child or a worker speaks with the process that started it through a pipe: it carries messages, and progress."""

from __future__ import annotations

from multiprocessing.connection import Connection
from threading import Lock
from typing import TypeVar

import msgspec

from pol_jax.errors import PeerLostError
from pol_jax.sandbox.messages import (
    ExportTrusted,
    FindSource,
    FromChild,
    FromWorker,
    ReadRecords,
    StageBegun,
    WorkAdvanced,
    WorkBegun,
    WorkEnded,
)

T = TypeVar("T")


class Pipe:
    """This process's end of the pipe, for any thread. It is a `pol_jax.progress.Progress` too."""

    def __init__(self, connection: Connection) -> None:
        """Talk over ``connection``."""
        self._connection = connection
        self._sending = Lock()  # messages of two threads must not mix
        self._asking = Lock()  # an answer belongs to the question before it

    def send(self, message: FromChild | FromWorker) -> None:
        """Send a message."""
        with self._sending:
            self._connection.send_bytes(msgspec.msgpack.encode(message))

    def receive(self, kind: type[T]) -> T:
        """Wait for a message.

        Raises:
            EOFError: the other side is gone, or has no more to say.
        """
        return msgspec.msgpack.decode(self._connection.recv_bytes(), type=kind)

    def ask(self, message: FindSource | ExportTrusted | ReadRecords, answer: type[T]) -> T:
        """Send a message and wait for the answer of the other side.

        Raises:
            PeerLostError: the other side is gone.
        """
        with self._asking:
            try:
                self.send(message)
                return self.receive(answer)
            except (EOFError, OSError) as error:
                raise PeerLostError("the process that asked is gone") from error

    def stage(self, number: int) -> None:
        """Tell that a stage begins."""
        self.send(StageBegun(number))

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Tell that long work begins."""
        self.send(WorkBegun(what, total, done))

    def at(self, done: int, loss: float | None = None) -> None:
        """Tell that so much is done."""
        self.send(WorkAdvanced(done, loss))

    def end(self) -> None:
        """Tell that long work is over."""
        self.send(WorkEnded())

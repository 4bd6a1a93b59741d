"""What the child, or a worker of its, says and asks over its pipe: progress, records, and what came out."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import Any, TypeVar

import jax
import msgspec
import numpy as np
from jaxtyping import Integer

from pol_jax.errors import DataError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from pol_jax.protocol.trees import DTYPES, PyTree, RecordSpec
from pol_jax.sandbox.messages import (
    Begun,
    Ended,
    Entered,
    Expect,
    Find,
    Found,
    FromChild,
    FromWorker,
    Reached,
    Records,
    Take,
)
from pol_jax.training.pytrees import nested
from pol_jax.training.task import Source
from pol_jax.verifying.trusted_program import Expected

T = TypeVar("T")


def end_with(starter: int) -> None:
    """End this process when the one that started it is gone."""
    Thread(target=_end_with, args=(starter,), daemon=True).start()


def _end_with(starter: int) -> None:
    while os.getppid() == starter:
        time.sleep(1)
    os._exit(1)


class Telling:
    """This process's side of the pipe: a `pol_jax.progress.Progress`, and a source of records, for any thread."""

    def __init__(self, connection: Connection) -> None:
        """Talk over ``connection``."""
        self._connection, self._sending, self._asking = connection, Lock(), Lock()

    def say(self, message: FromChild | FromWorker) -> None:
        """Send a message."""
        with self._sending:
            self._connection.send_bytes(msgspec.msgpack.encode(message))

    def receive(self, kind: type[T]) -> T:
        """Wait for a message.

        Raises:
            EOFError: the other side is gone, or has no more to say.
        """
        return msgspec.msgpack.decode(self._connection.recv_bytes(), type=kind)

    def ask(self, message: Find | Expect | Take, answer: type[T]) -> T:
        """Send a message and wait for what the other side answers."""
        with self._asking:
            self.say(message)
            return self.receive(answer)

    def stage(self, number: int) -> None:
        """A stage begins."""
        self.say(Entered(number))

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Long work begins."""
        self.say(Begun(what, total, done))

    def at(self, done: int, loss: float | None = None) -> None:
        """So much is done."""
        self.say(Reached(done, loss))

    def end(self) -> None:
        """Long work is over."""
        self.say(Ended())

    def find(self, commitment: Commitment) -> Source:
        """The caller's records."""
        found = self.ask(Find(encode(commitment)), Found)
        return RemoteRecords(self, commitment.data.record, found.records)

    def expect(self, commitment: Commitment, steps: int) -> Expected:
        """What the caller's trusted source gives."""
        return self.ask(Expect(encode(commitment), steps), Expected)


@dataclass(frozen=True)
class RemoteRecords:
    """The records of the other side, as a source.

    Attributes:
        telling: to the other side.
        spec: of a record.
        size: how many there are.
    """

    telling: Telling
    spec: RecordSpec
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> PyTree:
        return jax.tree.map(lambda leaf: leaf[0], self.take(np.array([index])))

    def take(self, indices: Integer[np.ndarray, " batch"]) -> PyTree:
        """The records at ``indices`` as one batch."""
        answer = self.telling.ask(Take(indices.tolist()), Records)
        if answer.error is not None:
            raise DataError(answer.error)
        leaves: list[Any] = [
            np.frombuffer(content, DTYPES[leaf.dtype]).reshape(len(indices), *leaf.shape)
            for content, leaf in zip(answer.leaves, self.spec, strict=True)
        ]
        return nested(self.spec, leaves)

"""The child's side of `pol_jax.isolation`: serves one request, with bounds on what it may do."""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from typing import Any, TypeVar

import jax
import msgspec
import numpy as np
from jaxtyping import Integer

from pol_jax import opening_verifier, verifier
from pol_jax.challenge import StepPolicy
from pol_jax.commitment import Commitment
from pol_jax.documents import encode
from pol_jax.errors import DataError, PolError
from pol_jax.inventory import Limits
from pol_jax.messages import (
    Begun,
    Done,
    Ended,
    Entered,
    Expect,
    Failed,
    Find,
    Found,
    FromChild,
    Reached,
    Records,
    Request,
    Take,
)
from pol_jax.origin import Expected
from pol_jax.report import Report
from pol_jax.specs import DTYPES, PyTree, RecordSpec, nested
from pol_jax.task import Source

T = TypeVar("T")


def serve(handle: int, caller: int) -> None:
    """Serve one request on an inherited pipe; what runs in the child.

    Args:
        handle: of the pipe.
        caller: process that asked; when it is gone, so is the child.
    """
    Thread(target=_die_with, args=(caller,), daemon=True).start()
    with Connection(handle) as connection:
        request = msgspec.msgpack.decode(connection.recv_bytes(), type=Request)
        _restrict(request.memory_bytes)
        telling = _Telling(connection)
        try:
            telling.say(Done(msgspec.json.encode(_report(request, telling))))
        except PolError as error:
            telling.say(Failed(type(error).__name__, str(error)))


def _report(request: Request, telling: _Telling) -> Report:
    limits, policy = Limits(**request.limits), request.policy
    if isinstance(policy, StepPolicy):
        claim, opening = Path(request.path), Path(request.opening or "")
        return opening_verifier.verify_opening(claim, opening, policy, request.nonce, limits=limits, progress=telling)
    return verifier.verify(
        request.path,
        telling.find,
        policy=policy,
        nonce=request.nonce,
        limits=limits,
        secret=request.secret,
        trusted=telling.expect if request.compare else None,
        same_program=request.same_program,
        parents=request.parents,
        progress=telling,
    )


def _die_with(caller: int) -> None:
    while os.getppid() == caller:
        time.sleep(1)
    os._exit(1)


def _restrict(memory_bytes: int | None) -> None:
    """No large files written, no core dumped, first to go when memory runs out."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


class _Telling:
    """The child's side: progress and a source of records, both over the pipe. One thread asks for records."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._sending = connection, Lock()

    def say(self, message: FromChild) -> None:
        """Send a message; any thread may."""
        with self._sending:
            self._connection.send_bytes(msgspec.msgpack.encode(message))

    def ask(self, message: Find | Expect | Take, answer: type[T]) -> T:
        """Send a message and wait for what the caller answers."""
        self.say(message)
        return msgspec.msgpack.decode(self._connection.recv_bytes(), type=answer)

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
        return _RemoteRecords(self, commitment.data.record, found.records)

    def expect(self, commitment: Commitment, steps: int) -> Expected:
        """What the caller's trusted source gives."""
        return self.ask(Expect(encode(commitment), steps), Expected)


@dataclass(frozen=True)
class _RemoteRecords:
    """The caller's records, as a source."""

    telling: _Telling
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

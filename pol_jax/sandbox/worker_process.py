"""A worker as the process sees it that starts it: it is given spans to replay and records, and is killed at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import jax
import msgspec

from pol_jax.errors import BackendError, DataError, PolError, ProofError, UsageError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.spans import Span
from pol_jax.sandbox.messages import (
    FromWorker,
    ReadRecords,
    ReplaySpan,
    SpanReplayed,
    WorkAdvanced,
    WorkerSetup,
)
from pol_jax.sandbox.process import Process, ProcessLost
from pol_jax.sandbox.reading_messages import ErrorRaised
from pol_jax.sandbox.remote_records import AnswerRecords
from pol_jax.sandbox.starting import python_process
from pol_jax.storage.seen_digests import SeenDigests

_CODE = """
import sys
from pol_jax.garbage import importing
with importing():
    from pol_jax.sandbox.pool_worker import work
work(*map(int, sys.argv[1:]))
"""
_MOST_BYTES = 2**24
"""The largest message of a worker: it asks for records, and sends results."""

Advance: TypeAlias = Callable[[int, float | None], None]
"""This function is told how many more steps were replayed, and of the last loss."""


@dataclass(frozen=True)
class WorkerProcess:
    """A worker is a process that replays spans of one proof, or of one opening.

    Attributes:
        process: that runs `pol_jax.sandbox.pool_worker`.
        advance: told how many more steps it has replayed, and of the last loss.
        answer: to its questions for records.
        seen: of a proof, the digests of what the worker will read; None for an opening.
    """

    process: Process
    advance: Advance
    answer: AnswerRecords
    seen: SeenDigests | None = None

    def replay(self, span: Span) -> ReplayResult:
        """Have the worker replay a span, and answer its questions until it has.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here, or the worker died.
            ProofError: the worker found other files than those that were checked.
        """
        try:
            self.process.send(ReplaySpan(span, self.seen.of_span(span) if self.seen else None))
            while True:
                match self._receive():
                    case SpanReplayed(result):
                        return result
                    case ReadRecords(indices):
                        self.process.send(self.answer(indices))
                    case WorkAdvanced(steps, loss):
                        self.advance(steps, loss)
                    case ErrorRaised(kind, text):
                        raise _error(kind, text)
        except ProcessLost as lost:
            raise BackendError(f"a worker {lost}") from lost

    def _receive(self) -> FromWorker:
        try:
            # Without a deadline: whoever waits for this process bounds its silence, and so that of its workers.
            content = self.process.connection.recv_bytes(_MOST_BYTES)
            return msgspec.msgpack.decode(content, type=FromWorker)  # type: ignore[no-any-return]
        except (EOFError, OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ProcessLost(self.process.describe_end()) from error


@contextmanager
def worker_process(
    device: dict[str, str],
    setup: WorkerSetup,
    advance: Advance,
    answer: AnswerRecords,
    seen: SeenDigests | None = None,
) -> Iterator[WorkerProcess]:
    """Start a worker, confined as this process is; it is killed when it is no longer needed.

    Args:
        device: environment variables that say what it computes on.
        setup: what it replays spans of.
        advance: told how many more steps it has replayed, and of the last loss.
        answer: to its questions for records; called by several threads, if there are several workers.
        seen: of a proof, the digests of what the worker will read; None for an opening.
    """
    # Started by the confined child, it inherits every restriction; none of them can be taken back.
    with python_process(_CODE, (), device) as process:
        process.send(setup)
        yield WorkerProcess(process, advance, answer, seen)


def devices_of_workers(workers: int) -> list[dict[str, str]]:
    """Return what each of this many workers computes on, as environment variables; this process has the first device.

    Raises:
        UsageError: processes can't share this backend's devices.
    """
    platform, devices = jax.devices()[0].platform, jax.local_device_count()
    if workers == 0 or platform == "cpu":
        return [{}] * workers
    if platform != "gpu":
        raise UsageError(f"jobs: several processes can share CPUs and NVIDIA GPUs; this backend is {platform}")
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = named if len(named) == devices else [str(number) for number in range(devices)]
    # The first takes most of a GPU's memory at once, unless told not to; a second beside it takes what it needs.
    return [
        {"CUDA_VISIBLE_DEVICES": names[number % devices], "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        for number in range(1, workers + 1)
    ]


def _error(kind: str, text: str) -> PolError:
    """Return the error that the worker raised, if it is of a class that a replay may raise."""
    if kind == "ProofError":
        where, _, problem = text.partition(": ")
        return ProofError(where, problem)
    return DataError(text) if kind == "DataError" else BackendError(text)

"""Workers, as the process sees them that hires them: started, given pieces and records, killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import jax
import msgspec
import numpy as np

from pol_jax.errors import BackendError, DataError, PolError, ProofError, UsageError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.progress import Progress
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import RecordSpec
from pol_jax.sandbox.messages import Came, Do, Failed, FromWorker, Hired, Reached, Records, Take
from pol_jax.sandbox.process import Child, Lost, launched
from pol_jax.training.records import take
from pol_jax.training.task import Source

Answer: TypeAlias = Callable[[list[int]], Records]

_CODE = "import sys; from pol_jax.sandbox.pool_worker import work; work(*map(int, sys.argv[1:]))"
_MOST_BYTES = 2**24


@dataclass(frozen=True)
class Worker:
    """A process that replays pieces of one proof, or spans of one opening.

    Attributes:
        child: the process.
        progress: told of its steps.
        records: what to answer when it asks for records.
    """

    child: Child
    progress: Progress
    records: Answer

    def replay(self, piece: Span) -> ReplayResult:
        """Have it replay a piece.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here, or the worker died.
        """
        try:
            self.child.send(Do(piece.start, piece.stop))
            while True:
                match self._receive():
                    case Came(replayed):
                        return replayed
                    case Take(indices):
                        self.child.send(self.records(indices))
                    case Reached(done, loss):
                        self.progress.at(done, loss)
                    case Failed(kind, text):
                        raise _error(kind, text)
        except Lost as lost:
            raise BackendError(f"a worker {lost}") from lost

    def _receive(self) -> FromWorker:
        try:
            content = self.child.connection.recv_bytes(_MOST_BYTES)
            return msgspec.msgpack.decode(content, type=FromWorker)  # type: ignore[no-any-return]
        except (EOFError, OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Lost(self.child.how_it_died()) from error


@contextmanager
def hired(device: dict[str, str], order: Hired, progress: Progress, records: Answer) -> Iterator[Worker]:
    """A worker, confined as this process is; killed when it is no longer needed.

    Args:
        device: environment variables that say what it computes on.
        order: what it works on.
        progress: told of its steps.
        records: what to answer when it asks for records; called by several threads, if there are several workers.
    """
    with launched(_CODE, (), device) as child:
        child.send(order)
        yield Worker(child, progress, records)


def answering(source: Source, spec: RecordSpec) -> Answer:
    """Answers with records of a source."""

    def answer(indices: list[int]) -> Records:
        try:
            return Records([leaf.tobytes() for leaf in take(source, spec, np.array(indices, np.int64))], None)
        except DataError as error:
            return Records([], str(error))

    return answer


def check_jobs(jobs: int) -> int:
    """The number of processes.

    Raises:
        UsageError: less than one.
    """
    if jobs < 1:
        raise UsageError(f"jobs: {jobs}, expected at least 1")
    return jobs


def devices_of_workers(workers: int) -> list[dict[str, str]]:
    """What each of so many workers computes on, as environment variables; this process has the first device.

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
    if kind == "ProofError":
        where, _, problem = text.partition(": ")
        return ProofError(where, problem)
    return DataError(text) if kind == "DataError" else BackendError(text)

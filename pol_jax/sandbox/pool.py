"""Replay by several processes: this one and workers, each a span at a time; the next span goes to whoever is free.

Each process holds the states of one span. Workers have as many processors as this process: with fewer, XLA would use
fewer threads, and could give other bits than one process alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TypeAlias

from pol_jax.errors import BackendError, ProofError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.progress import Progress, Silent
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.spans import Span
from pol_jax.sandbox.messages import OpeningWork, ProofWork
from pol_jax.sandbox.remote_records import answers_from
from pol_jax.sandbox.worker_process import WorkerProcess, devices_of_workers, worker_process
from pol_jax.storage.inventory import find_claim
from pol_jax.training.task import Source
from pol_jax.verifying.checks import Checked
from pol_jax.verifying.opening_checks import Opened
from pol_jax.verifying.opening_replay import replay_spans
from pol_jax.verifying.replay import Replayer
from pol_jax.verifying.request import OpeningRequest

SpanReplayer: TypeAlias = Callable[[Span], ReplayResult]
"""This function replays one span, in this process or in another."""


class PooledReplayer(Replayer):
    """This replayer replays spans of one proof in several processes; with one span there is nothing to share."""

    def __init__(self, checked: Checked, source: Source, secret: bytes | None, progress: Progress, jobs: int) -> None:
        """Replay ``checked`` with ``jobs`` processes, this one included.

        Args:
            checked: a proof that passed stages 1 to 6.
            source: the verifier's records, which several threads may read.
            secret: salts of a private data set.
            progress: told of the steps.
            jobs: how many processes.

        Raises:
            UsageError: processes can't share this backend's devices.
        """
        self._shared = SharedProgress(progress)
        super().__init__(checked, source, secret, self._shared)
        self._secret, self._devices = secret, devices_of_workers(jobs - 1)

    def replay(self, spans: Iterable[Span]) -> Iterator[ReplayResult]:
        """Replay spans, the longest first; the results are in the order of the spans.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here, or a worker died.
        """
        given = list(spans)
        # A single span can not be shared, and starting a worker takes as long as many steps.
        if len(given) > 1 and self._devices:
            yield from replay_in_pool(given, self._replay_here, self._workers(), self._shared)
        else:
            yield from super().replay(given)

    def _workers(self) -> Iterator[AbstractContextManager[WorkerProcess]]:
        proof = self._checked.proof
        work = ProofWork(str(proof.root.resolve()), proof.claim.digest().hex(), proof.limits, self._secret)
        answer = answers_from(self._source, proof.commitment.data.record)
        return (worker_process(device, work, self._shared.advance, answer, proof.seen) for device in self._devices)

    def _replay_here(self, span: Span) -> ReplayResult:
        (result,) = super().replay([span])
        return result


def replay_opening_in_pool(
    opened: Opened, claim: Claim, wanted: Sequence[Span], progress: Progress, *, request: OpeningRequest
) -> list[ReplayResult]:
    """Replay spans of an opening in several processes. With one span there is nothing to share.

    Args:
        opened: the opening, after it was checked.
        claim: that it opens.
        wanted: the spans.
        progress: told of them.
        request: says where the opening lies, and how many processes replay.

    Raises:
        UsageError: processes can't share this backend's devices.
        BackendError: the program can't be executed here, or a worker died or found other files than those here.
    """
    if request.jobs == 1 or len(wanted) == 1:
        return replay_spans(opened, wanted, progress)
    shared, answer = SharedProgress(progress), answers_from(opened.records, opened.commitment.data.record)
    claim_file = str(find_claim(Path(request.claim)).resolve())
    work = OpeningWork(request.opening, claim_file, claim.digest().hex(), request.limits)
    workers = (worker_process(device, work, shared.advance, answer) for device in devices_of_workers(request.jobs - 1))
    try:
        return replay_in_pool(wanted, lambda span: replay_spans(opened, [span], shared)[0], workers, shared)
    except ProofError as error:  # what was checked is in this process's memory, whatever became of the files since
        raise BackendError(str(error)) from error


def replay_in_pool(
    spans: Sequence[Span],
    replay_here: SpanReplayer,
    workers: Iterable[AbstractContextManager[WorkerProcess]],
    shared: SharedProgress,
) -> list[ReplayResult]:
    """Share spans among this process and workers; the results are in the order of the spans.

    Args:
        spans: all different.
        replay_here: replays one in this process.
        workers: started one after the other, as many as there is work for.
        shared: told of the steps of all processes.

    Raises:
        PolError: the first error of any of them.
    """
    free: SimpleQueue[SpanReplayer] = SimpleQueue()

    def replay(span: Span) -> ReplayResult:
        replay_by = free.get()
        try:
            return replay_by(span)
        except Exception as error:
            # The others stop at their next step: their results would not be used.
            shared.fail(error)
            raise
        finally:
            free.put(replay_by)

    with ExitStack() as stack:
        free.put(replay_here)
        # No more workers than there are spans beside the one of this process.
        for _, worker in zip(spans[1:], workers, strict=False):
            free.put(stack.enter_context(worker).replay)
        with ThreadPoolExecutor(free.qsize(), "pol-pool") as threads:
            # The longest first: were one left for the end, the others would wait for it.
            longest = sorted(spans, key=lambda span: span.start - span.stop)
            results = {span: threads.submit(replay, span) for span in longest}
    shared.raise_error()
    return [results[span].result() for span in spans]


class SharedProgress(Silent):
    """This progress counts the steps of all processes, and ends the others' when one has failed."""

    def __init__(self, progress: Progress) -> None:
        """Tell ``progress`` of them."""
        self._progress, self._lock, self._done = progress, Lock(), 0
        self._error: Exception | None = None

    def at(self, done: int, loss: float | None = None) -> None:
        """Count one more step of this process."""
        self.advance(1, loss)

    def advance(self, steps: int, loss: float | None = None) -> None:
        """Count this many more steps, whichever process did them."""
        self.raise_error()
        with self._lock:
            self._done += steps
            self._progress.at(self._done, loss)

    def fail(self, error: Exception) -> None:
        """Note an error; the first one is told."""
        with self._lock:
            self._error = self._error or error

    def raise_error(self) -> None:
        """Raise the first error, if there is one."""
        if self._error:
            raise self._error

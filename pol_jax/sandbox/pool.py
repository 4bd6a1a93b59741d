"""Replay by several processes: this one and workers, each a piece at a time; the next goes to whoever is free.

Each process holds the states of one piece. Workers have as many processors as this process: XLA's threads, and with
them bits, are those of one process alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from queue import SimpleQueue
from threading import Lock

from msgspec.structs import replace

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.progress import Progress, Silent
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.spans import Span
from pol_jax.sandbox.messages import Hired
from pol_jax.sandbox.pool_workers import Worker, answering, devices_of_workers, hired
from pol_jax.training.task import Source
from pol_jax.verifying.checks import Checked
from pol_jax.verifying.opening_checks import Opened
from pol_jax.verifying.opening_verifier import replay_spans
from pol_jax.verifying.replay import Replayer


class Crew(Replayer):
    """Replays pieces of one proof in several processes. With one piece there is nothing to share."""

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
        self._together = Together(progress)
        super().__init__(checked, source, secret, self._together)
        self._secret, self._devices = secret, devices_of_workers(jobs - 1)

    def replay(self, pieces: Iterable[Span]) -> Iterator[ReplayResult]:
        """Replay pieces, the longest first; what came of them, in their own order.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here, or a worker died.
        """
        given = list(pieces)
        shared = len(given) > 1 and self._devices
        yield from share(given, self._replay_here, self._workers(), self._together) if shared else super().replay(given)

    def _workers(self) -> Iterator[AbstractContextManager[Worker]]:
        proof = self._checked.proof
        assert proof.claim is not None  # noqa: S101  # it passed stage 2
        order = Hired(str(proof.root.absolute()), proof.claim.digest().hex(), asdict(proof.limits), secret=self._secret)
        records = answering(self._source, proof.commitment.data.record)
        return (hired(device, order, self._together, records) for device in self._devices)

    def _replay_here(self, piece: Span) -> ReplayResult:
        (replayed,) = super().replay([piece])
        return replayed


def share_spans(
    opened: Opened, claim: Claim, wanted: Sequence[Span], progress: Progress, *, order: Hired, jobs: int
) -> list[ReplayResult]:
    """Replay spans of an opening in several processes; with one span there is nothing to share.

    Args:
        opened: the opening.
        claim: that it opens.
        wanted: the spans.
        progress: told of them.
        order: where workers find the opening and the claim.
        jobs: how many processes, this one included.

    Raises:
        UsageError: processes can't share this backend's devices.
    """
    if jobs == 1 or len(wanted) == 1:
        return replay_spans(opened, wanted, progress)
    together, records = Together(progress), answering(opened.records, opened.commitment.data.record)
    order = replace(order, claim=claim.digest().hex())
    workers = (hired(device, order, together, records) for device in devices_of_workers(jobs - 1))
    return share(wanted, lambda span: replay_spans(opened, [span], together)[0], workers, together)


def share(
    pieces: Sequence[Span],
    here: Callable[[Span], ReplayResult],
    workers: Iterable[AbstractContextManager[Worker]],
    together: Together,
) -> list[ReplayResult]:
    """Share pieces among this process and workers; what came of them, in their order.

    Args:
        pieces: none twice.
        here: replays one in this process.
        workers: hired one after the other, as many as there is work for.
        together: told of the steps of all.

    Raises:
        PolError: the first error of any of them.
    """
    free: SimpleQueue[Callable[[Span], ReplayResult]] = SimpleQueue()

    def replay(piece: Span) -> ReplayResult:
        hand = free.get()
        try:
            return hand(piece)
        except Exception as error:
            together.fail(error)
            raise
        finally:
            free.put(hand)

    with ExitStack() as stack:
        free.put(here)
        for _, worker in zip(pieces[1:], workers, strict=False):
            free.put(stack.enter_context(worker).replay)
        with ThreadPoolExecutor(free.qsize(), "pol-crew") as pool:
            longest = sorted(pieces, key=lambda piece: piece.start - piece.stop)
            came = {piece: pool.submit(replay, piece) for piece in longest}
    together.check()
    return [came[piece].result() for piece in pieces]


class Together(Silent):
    """Counts the steps of all processes, and ends the others' when one has failed."""

    def __init__(self, progress: Progress) -> None:
        """Tell ``progress`` of them."""
        self._progress, self._lock, self._done = progress, Lock(), 0
        self._error: Exception | None = None

    def at(self, done: int, loss: float | None = None) -> None:
        """One more is done, by whomever."""
        self.check()
        with self._lock:
            self._done += 1
            self._progress.at(self._done, loss)

    def fail(self, error: Exception) -> None:
        """Take note of an error; the first is the one to tell."""
        with self._lock:
            self._error = self._error or error

    def check(self) -> None:
        """Raise that error, if there is one."""
        if self._error:
            raise self._error

"""Replay by several processes: this one and workers, each a piece at a time; the next goes to whoever is free.

Each process holds the states of one piece. Workers have as many processors as this process: XLA's threads, and with
them bits, are those of one process alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Lock

from pol_jax.checks import Checked
from pol_jax.progress import Progress, Silent
from pol_jax.replay import Replayed, Replayer
from pol_jax.route import Piece
from pol_jax.task import Source
from pol_jax.workers import devices_of_workers, hired


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
        self._together = _Together(progress)
        super().__init__(checked, source, secret, self._together)
        self._secret, self._devices = secret, devices_of_workers(jobs - 1)

    def replay(self, pieces: Iterable[Piece]) -> Iterator[Replayed]:
        """Replay pieces, the longest first; what came of them, in their own order.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here, or a worker died.
        """
        given = list(pieces)
        shared = len(given) > 1 and self._devices
        yield from self._share(given) if shared else super().replay(given)

    def _share(self, pieces: Sequence[Piece]) -> Iterator[Replayed]:
        free: SimpleQueue[Callable[[Piece], Replayed]] = SimpleQueue()

        def replay(piece: Piece) -> Replayed:
            hand = free.get()
            try:
                return hand(piece)
            except Exception as error:
                self._together.fail(error)
                raise
            finally:
                free.put(hand)

        with ExitStack() as stack:
            free.put(self._replay_here)
            for device in self._devices[: len(pieces) - 1]:
                worker = hired(device, self._checked, self._source, self._secret, self._together)
                free.put(stack.enter_context(worker).replay)
            with ThreadPoolExecutor(free.qsize(), "pol-crew") as pool:
                longest = sorted(pieces, key=lambda piece: piece.start - piece.stop)
                came = {piece: pool.submit(replay, piece) for piece in longest}
        self._together.check()
        return (came[piece].result() for piece in pieces)

    def _replay_here(self, piece: Piece) -> Replayed:
        (replayed,) = super().replay([piece])
        return replayed


class _Together(Silent):
    """Counts the steps of all processes, and ends the others' when one has failed."""

    def __init__(self, progress: Progress) -> None:
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

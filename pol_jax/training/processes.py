"""Processes that train together report to the first one, which decides and tells all (docs/pods.md).

They speak through the key-value store of jax's coordination service, from any thread. Collectives would not do: in a
thread of its own, one process could begin them in another order than the next, and all would wait for ever.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final, TypeVar

import jax
from jax._src import distributed
from jax.experimental import multihost_utils

from pol_jax.errors import PolError, ProcessError, printable

T = TypeVar("T")

TIMEOUT: Final = 600.0
"""A process may take this many seconds to report a step, unless the caller says so: it may have to write a large
state."""

_LOOK_SECONDS: Final = 2.0
"""So often a process that waits looks whether another one has failed."""

_GRACE_SECONDS: Final = 30.0

_runs: Final = itertools.count()


class Processes:
    """The processes of a run, of which this is one; the first one has the number 0.

    All of them call the same methods in the same order.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        """Begin to speak with the other processes, if there are any.

        Args:
            timeout: seconds after which a process that has not reported is given up.
        """
        self.index, self.count, self._timeout = jax.process_index(), jax.process_count(), timeout
        self._client: Any = distributed.global_state.client if self.count > 1 else None
        self._begun = dict[object, tuple[str, float]]()
        # All processes begin their runs in the same order, so that they all count to the same name.
        self._base, self._number = f"pol_jax/{next(_runs)}", 0

    @property
    def is_first(self) -> bool:
        """Return whether this process decides, and writes the ledger."""
        return self.index == 0

    @property
    def grace(self) -> float:
        """Return the seconds after which a thread that doesn't notice an error hangs, as if for ever."""
        return min(_GRACE_SECONDS, self._timeout)

    def agree(
        self, what: str, message: bytes, decide: Callable[[Sequence[bytes]], bytes], *, patient: bool = False
    ) -> bytes:
        """Return what the first process decides from the messages of all.

        Args:
            what: that is reported, for the text of an error.
            message: of this process.
            decide: returns the decision for the messages in order; called in the first process alone.
            patient: whether the others wait for the decision as long as the first process lives.

        Raises:
            ProcessError: a process has failed, or has not reported in time.
        """
        if self.count == 1:
            return decide([message])
        key, self._number = f"{self._base}/{self._number}", self._number + 1
        if not self.is_first:
            self._client.key_value_set_bytes(f"{key}/{self.index}", message)
            answer = self._wait(f"{key}/answer", 0, what, None if patient else self._timeout)
            if answer[:1] == b"0":
                raise ProcessError(f"process 0 failed at {what}: {printable(answer[1:].decode())}")
            return answer[1:]
        others = range(1, self.count)
        messages = [message, *(self._wait(f"{key}/{other}", other, what, self._timeout) for other in others)]
        for other in others:
            self._client.key_value_delete(f"{key}/{other}")
        if self._number > 1:  # every process has read the answer before: it has sent what comes after
            self._client.key_value_delete(f"{self._base}/{self._number - 2}/answer")
        try:
            decision = decide(messages)
        except BaseException as error:
            self._client.key_value_set_bytes(f"{key}/answer", b"0" + (str(error) or type(error).__name__).encode())
            raise
        self._client.key_value_set_bytes(f"{key}/answer", b"1" + decision)
        return decision

    def first(self, what: str, act: Callable[[], T]) -> T | None:
        """Let the first process do something while the others wait; they get None.

        Raises:
            ProcessError: the first process has failed.
        """
        done = list[T]()

        def decide(_: Sequence[bytes]) -> bytes:
            done.append(act())
            return b""

        self.agree(what, b"", decide, patient=True)
        return done[0] if done else None

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process can't go on; they end with its number and the text of the error."""
        if self._client is not None and not isinstance(error, ProcessError):
            text = str(error) if isinstance(error, PolError) else f"{type(error).__name__}: {error}"
            self._client.key_value_set_bytes(f"{self._base}/failed/{self.index}", text.encode(), allow_overwrite=True)

    @contextmanager
    def watching(self, end: Callable[[ProcessError], None]) -> Iterator[None]:
        """Watch over what all processes do together, and give up what takes twice the timeout (`within`).

        Accelerators wait for ever for a process that is gone, and so does whoever waits for them. Meanwhile this
        process shows that it is alive, so that another one can be named.

        Args:
            end: called from another thread if something is given up.
        """
        closed = Event()
        if self.count > 1:
            Thread(target=self._watch, args=(closed, end), name="pol-watch", daemon=True).start()
        try:
            yield
        finally:
            closed.set()

    @contextmanager
    def within(self, what: str) -> Iterator[None]:
        """Let something happen that is given up if it takes too long; ``what`` is for the text of the error."""
        mark = object()
        self._begun[mark] = what, time.monotonic()
        try:
            yield
        finally:
            del self._begun[mark]

    def _watch(self, closed: Event, end: Callable[[ProcessError], None]) -> None:
        period = min(_LOOK_SECONDS, self._timeout / 8)
        while not closed.wait(period):
            self._show_alive()
            most = 2 * self._timeout
            late = [
                (mark, what) for mark, (what, begun) in list(self._begun.items()) if time.monotonic() - begun > most
            ]
            # Three periods, so that a process which is late by one is not called silent.
            silent = self._silent(3 * period) if late else []
            for what in [what for mark, what in late if mark in self._begun]:
                which = f"process {', '.join(map(str, silent))} is silent" if silent else "every process waits"
                end(
                    ProcessError(
                        f"{what} has not ended within {most:g} s: {which}; it is not recorded. Restart"
                        " all processes with the same command to continue"
                    )
                )
                return

    def _show_alive(self) -> None:
        # Any value that is new each time: clocks of different machines are never compared.
        self._client.key_value_set_bytes(
            f"{self._base}/alive/{self.index}", str(time.monotonic()).encode(), allow_overwrite=True
        )

    def _silent(self, seconds: float) -> list[int]:
        """Return the processes that don't show that they are alive, of the others."""
        before = self._alive()
        time.sleep(seconds)
        after = self._alive()
        return [each for each in range(self.count) if each != self.index and before.get(each) == after.get(each)]

    def _alive(self) -> dict[int, bytes]:
        found = self._client.key_value_dir_get_bytes(f"{self._base}/alive/")
        return {int(name.rpartition("/")[2]): bytes(value) for name, value in found}

    def _wait(self, key: str, process: int, what: str, timeout: float | None) -> bytes:
        begun = time.monotonic()
        while True:
            try:
                return bytes(self._client.blocking_key_value_get_bytes(key, int(_LOOK_SECONDS * 1000)))
            except jax.errors.JaxRuntimeError as error:
                # jax raises one class of errors for all that may happen here, and only the text says which it was.
                if "DEADLINE_EXCEEDED" not in str(error):
                    raise ProcessError(f"{what}: the processes can't speak with each other: {_line(error)}") from error
            for name, text in self._client.key_value_dir_get_bytes(f"{self._base}/failed/"):
                raise ProcessError(f"process {name.rpartition('/')[2]} failed: {printable(bytes(text).decode())}")
            if timeout is not None and time.monotonic() - begun > timeout:
                raise ProcessError(
                    f"process {process} has not reported {what} within {timeout:g} s: it is dead, or waits for"
                    " something; the step is not recorded. Restart all processes with the same command to continue"
                )


def is_taken_away(step: int) -> bool:
    """Return whether this machine, or that of another process, was given notice, and all stop after ``step``.

    All processes get the same answer for the same step; without jax's distributed runtime, it is always False.
    """
    if distributed.global_state.preemption_sync_manager is None:
        return False
    return bool(multihost_utils.reached_preemption_sync_point(step))


def lost_process(error: BaseException) -> str:
    """Return what an error of XLA most likely means where several processes run, in one line."""
    return f"can't run, perhaps since another process was lost: {_line(error)}"


def _line(error: BaseException) -> str:
    return printable(str(error).splitlines()[0])

"""Long work reports its progress through these classes: the core calls them, the command line draws bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Final, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")

SECONDS_BETWEEN: Final = 1.0
"""So often `tracked` says how far work has come: a process that says nothing for long is taken for dead."""


@runtime_checkable
class Progress(Protocol):
    """A progress is told how far long work has come; its methods may be called from any thread."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Begin to show work on ``what``, of which ``done`` of ``total`` units are done already."""

    def at(self, done: int, loss: float | None = None) -> None:
        """Show that ``done`` units are done now, and the latest loss if there is one."""

    def end(self) -> None:
        """End the work that began last, whether it succeeded or failed."""

    def stage(self, number: int) -> None:
        """Show that stage ``number`` of a verification begins."""


class Silent:
    """A progress that shows nothing."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Say nothing."""

    def at(self, done: int, loss: float | None = None) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""

    def stage(self, number: int) -> None:
        """Say nothing."""


class Paced:
    """A progress that passes on no more than one count in a while: a message to another process costs more than a step.

    The last count is passed on when the work ends.
    """

    def __init__(self, progress: Progress, seconds: float = 0.02) -> None:
        """Pass on to ``progress``, with this many seconds between counts."""
        self._progress, self._seconds = progress, seconds
        self._next, self._held = 0.0, list[tuple[int, float | None]]()

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Pass it on."""
        self.flush()
        self._progress.begin(what, total, done)

    def at(self, done: int, loss: float | None = None) -> None:
        """Pass it on if the last count is long ago, or else keep it."""
        now = monotonic()
        if now < self._next:
            # Only the latest: counts are totals, so that one says all that those before it said.
            self._held[:] = [(done, loss)]
            return
        self._held.clear()
        self._next = now + self._seconds
        self._progress.at(done, loss)

    def flush(self) -> None:
        """Pass on the last count, if it was kept."""
        if self._held:
            self._progress.at(*self._held.pop())

    def end(self) -> None:
        """Pass on the last count, and the end."""
        self.flush()
        self._progress.end()

    def stage(self, number: int) -> None:
        """Pass it on."""
        self.flush()
        self._progress.stage(number)


class WithinStage:
    """The progress of a verification that runs inside a stage of another one, such as that of an earlier proof.

    Work is passed on. The stages of the inner verification are not: the outer one stays in its own stage.
    """

    def __init__(self, progress: Progress, number: int) -> None:
        """Pass work on to ``progress``, whose stage stays ``number``."""
        self.begin, self.at, self.end = progress.begin, progress.at, progress.end
        self._tell, self._number = progress.stage, number

    def stage(self, number: int) -> None:
        """Report the outer stage again, as a sign of life: a child process that stays silent is ended."""
        self._tell(self._number)


def heartbeat(tell: Callable[[], None]) -> Callable[[], None]:
    """Return a function that is called often, and calls ``tell`` no more than once a second."""
    told = monotonic()

    def beat() -> None:
        nonlocal told
        if monotonic() - told >= SECONDS_BETWEEN:
            told = monotonic()
            tell()

    return beat


def tracked(progress: Progress, what: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Yield items, each of which is worked on before the next is asked for, and tell once a second how many are done.

    Nothing is told of what takes less than that.

    Args:
        progress: told of them.
        what: the work.
        items: one for each unit of it.
        total: how many they are.
    """
    begun, told = False, monotonic()
    try:
        for done, item in enumerate(items):
            if monotonic() - told >= SECONDS_BETWEEN:
                # Begun late, so that short work draws no bar.
                if not begun:
                    progress.begin(what, total, done)
                begun, told = True, monotonic()
                progress.at(done)
            yield item
    finally:
        if begun:
            progress.end()

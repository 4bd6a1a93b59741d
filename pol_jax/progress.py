"""How long work tells that it goes on. The core calls these; the command line draws bars."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Told of long work; may be called from another thread than the one that began it."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Work on ``what`` begins, with ``done`` of ``total`` done already."""

    def at(self, done: int, loss: float | None = None) -> None:
        """``done`` are done now."""

    def end(self) -> None:
        """The work that began last is over, well or not."""

    def stage(self, number: int) -> None:
        """Stage ``number`` of a verification begins."""


class Silent:
    """Says nothing."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Say nothing."""

    def at(self, done: int, loss: float | None = None) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""

    def stage(self, number: int) -> None:
        """Say nothing."""


class WithinStage:
    """Passes on long work of a verification inside a stage of another one, whose stage it stays."""

    def __init__(self, progress: Progress, number: int) -> None:
        """Pass on to ``progress``, as of stage ``number``."""
        self.begin, self.at, self.end = progress.begin, progress.at, progress.end
        self._tell, self._number = progress.stage, number

    def stage(self, number: int) -> None:
        """Say that the outer stage goes on: a sign of life."""
        self._tell(self._number)

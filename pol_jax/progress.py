"""Long work reports its progress through these classes: the core calls them, the command line draws bars."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """An object that is told how far long work has come; its methods may be called from any thread."""

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

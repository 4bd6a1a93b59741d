"""Progresses that do something at a moment of a verification, for tests of what may happen meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from pol_jax.progress import Silent


class At(Silent):
    """Does something when a stage begins."""

    def __init__(self, number: int, action: Callable[[], None]) -> None:
        self._number, self._action = number, action

    def stage(self, number: int) -> None:
        if number == self._number:
            self._action()


class Before(Silent):
    """Does something when work of this name begins."""

    def __init__(self, what: str, action: Callable[[], None]) -> None:
        self._what, self._action = what, action

    def begin(self, what: str, total: int, done: int = 0) -> None:
        if what == self._what:
            self._action()

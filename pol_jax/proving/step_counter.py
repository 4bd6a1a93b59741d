"""Every step of a run is executed once, in order; a loop of the user's own is told where it left that order."""

from __future__ import annotations

import warnings
from pathlib import Path

from pol_jax.errors import UsageError


class StepCounter:
    """This counter counts the steps that a loop has executed.

    Attributes:
        start: the last step that was done before this loop.
        last: the last step that was executed.
        steps: number of steps, T.
        exhausted: whether the loop has gone over all inputs.
    """

    def __init__(self, start: int, steps: int) -> None:
        """Begin after step ``start`` of ``steps``."""
        self.start = self.last = start
        self.steps, self.exhausted = steps, False

    def check_next(self, step: int) -> None:
        """Refuse a step that was run already, or before which another one was left out.

        Raises:
            UsageError: it is not the one after the last.
        """
        if step == self.last + 1 <= self.steps:
            return
        if step <= self.last:
            raise UsageError(f"step {step}: was run already; the next one is {self.last + 1}, of {self.steps}")
        raise UsageError(
            f"step {step}: step {self.last + 1} was not run; each step that is yielded must be run, in order, by"
            " recording.step"
        )

    def left_early(self, root: Path) -> None:
        """Say that the run in ``root`` is not finished.

        Raises:
            UsageError: the loop has gone over all inputs, and run no step.
        """
        if self.exhausted and self.last == self.start:
            raise UsageError(
                f"{root}: the loop ended, but none of the {self.steps - self.start} steps was run by"
                " recording.step; call it for each of the inputs"
            )
        if self.last > self.start:
            warnings.warn(
                f"{root}: the run stays open after step {self.last} of {self.steps}; the same code continues it",
                stacklevel=4,
            )

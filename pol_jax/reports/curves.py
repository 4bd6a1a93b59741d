"""A report shows the course of a run in curves of a bounded number of points, however long the run is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from pol_jax.protocol.spans import Span

MOST_POINTS: Final = 200
"""A curve has at most this many points."""

NonNegative = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""A step, or a number of things. Numbers of JSON hold integers up to this bound exactly (section 2)."""

Loss = Annotated[float, msgspec.Meta(ge=-1e39, le=1e39)]
"""A loss may be any float32. The bound keeps sums of numbers that another process sends finite."""


class Point(msgspec.Struct, frozen=True):
    """A point of the learning curve is the mean loss over several steps in a row.

    Attributes:
        first: the first of these steps.
        last: the last of these steps.
        loss: the mean of the loss, or None if it is not finite.
    """

    first: NonNegative
    last: NonNegative
    loss: Loss | None


class Update(msgspec.Struct, frozen=True):
    """An update is the distance between the states of two consecutive checkpoints, the largest in a range of steps.

    Attributes:
        start: the range begins after this step.
        stop: the last step of the range.
        magnitude: the distance, by the policy's metric or else l2; None if it is not finite.
    """

    start: NonNegative
    stop: NonNegative
    magnitude: float | None

    @property
    def span(self) -> Span:
        """Return the range of steps."""
        return Span(self.start, self.stop)


class Curve:
    """A learning curve collects means of the loss over equal parts of a run, row by row."""

    def __init__(self, steps: int) -> None:
        """Begin the curve of a run of ``steps`` steps."""
        self._steps = steps
        self._sums = [0.0] * min(MOST_POINTS, steps)
        self._counts = [0] * len(self._sums)

    def add(self, step: int, loss: float | None) -> None:
        """Add the loss of a row; row 0 has none."""
        if step and loss is not None:
            part = (step - 1) * len(self._sums) // self._steps
            self._sums[part] += loss
            self._counts[part] += 1

    def points(self) -> tuple[Point, ...]:
        """Return the points of the curve."""
        # The parts differ in length by at most one step.
        stops = [-(-part * self._steps // len(self._sums)) for part in range(len(self._sums) + 1)]
        means = [total / count if count else math.nan for total, count in zip(self._sums, self._counts, strict=True)]
        return tuple(
            Point(start + 1, stop, mean if math.isfinite(mean) else None)
            for start, stop, mean in zip(stops, stops[1:], means, strict=False)
        )


def thin(updates: Sequence[Update]) -> tuple[Update, ...]:
    """Return the largest update of each of at most `MOST_POINTS` groups of consecutive updates.

    An update that is not finite counts as the largest, as it does in the challenge.
    """
    size = max(1, -(-len(updates) // MOST_POINTS))
    return tuple(_largest(updates[begin : begin + size]) for begin in range(0, len(updates), size))


def _largest(updates: Sequence[Update]) -> Update:
    finite = [each.magnitude for each in updates if each.magnitude is not None]
    return Update(updates[0].start, updates[-1].stop, max(finite) if len(finite) == len(updates) else None)

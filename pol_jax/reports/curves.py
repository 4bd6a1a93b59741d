"""The course of a run as a report shows it: bounded, however long the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

MOST_POINTS: Final = 200
"""How many points a curve has at most."""

Step = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Loss = Annotated[float, msgspec.Meta(ge=-1e39, le=1e39)]
"""Any float32; the bound keeps sums and differences of what another process sends finite."""


class Point(msgspec.Struct, frozen=True):
    """The mean loss over a stretch of steps.

    Attributes:
        first: the first step of the stretch.
        last: its last step.
        loss: None where it is not finite.
    """

    first: Step
    last: Step
    loss: Loss | None


class Update(msgspec.Struct, frozen=True):
    """The largest distance between the states of two consecutive checkpoints, in a stretch of steps.

    Attributes:
        start: the stretch begins after this step.
        stop: its last step.
        magnitude: by the policy's metric, else l2; None where it is not finite.
    """

    start: Step
    stop: Step
    magnitude: float | None


class Curve:
    """Means of the loss over equal stretches of a run, gathered row by row."""

    def __init__(self, steps: int) -> None:
        """Of a run of so many steps."""
        self._steps = steps
        self._sums = [0.0] * min(MOST_POINTS, steps)
        self._counts = [0] * len(self._sums)

    def add(self, step: int, loss: float | None) -> None:
        """Take a row's loss; row 0 has none."""
        if step and loss is not None:
            at = (step - 1) * len(self._sums) // self._steps
            self._sums[at] += loss
            self._counts[at] += 1

    def points(self) -> tuple[Point, ...]:
        """The curve."""
        stops = [-(-at * self._steps // len(self._sums)) for at in range(len(self._sums) + 1)]
        means = [total / count if count else math.nan for total, count in zip(self._sums, self._counts, strict=True)]
        return tuple(
            Point(start + 1, stop, mean if math.isfinite(mean) else None)
            for start, stop, mean in zip(stops, stops[1:], means, strict=False)
        )


def thin(updates: Sequence[Update]) -> tuple[Update, ...]:
    """The largest of each of at most `MOST_POINTS` groups; what is not finite ranks first, as in the challenge."""
    size = max(1, -(-len(updates) // MOST_POINTS))
    return tuple(_largest(updates[at : at + size]) for at in range(0, len(updates), size))


def _largest(updates: Sequence[Update]) -> Update:
    found = [each.magnitude for each in updates if each.magnitude is not None]
    return Update(updates[0].start, updates[-1].stop, max(found) if len(found) == len(updates) else None)

"""Runs of steps: segments between checkpoints, spans between witnessed states, and routes that reach them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Schedule


@dataclass(frozen=True, order=True)
class Span:
    """The least run of steps around a challenged one whose ends have state digests in the ledger.

    One step, where the ledger has a digest in every row.

    Attributes:
        start: the step of the state that it begins with.
        stop: its last step.
    """

    start: int
    stop: int

    @property
    def steps(self) -> range:
        """The steps that are executed."""
        return range(self.start + 1, self.stop + 1)


def spans(schedule: Schedule, steps: Iterable[int], last: int) -> list[Span]:
    """The spans of challenged steps (1 to ``last``), ascending, none twice.

    Raises:
        UsageError: a step that the run doesn't have.
    """
    return sorted({_span(schedule, step, last) for step in steps})


def _span(schedule: Schedule, step: int, last: int) -> Span:
    if not 1 <= step <= last:
        raise UsageError(f"step {step}: the run has steps 1 to {last}")
    start, stop = step - 1, step
    while not schedule.has_witness(start, last):
        start -= 1
    while not schedule.has_witness(stop, last):
        stop += 1
    return Span(start, stop)


@dataclass(frozen=True)
class Segments:
    """How T steps fall into segments of k."""

    steps: int
    interval: int

    def __len__(self) -> int:
        """Number of segments."""
        return -(-self.steps // self.interval)

    def bounds(self, segment: int) -> tuple[int, int]:
        """The steps (start, stop] of a segment: checkpoints lie at such ends, and nowhere else."""
        return segment * self.interval, min((segment + 1) * self.interval, self.steps)

    def rows(self, segment: int) -> range:
        """The rows in the segment's file."""
        start, stop = self.bounds(segment)
        return range(0 if segment == 0 else start + 1, stop + 1)

    def of_step(self, step: int) -> int:
        """The segment whose file has the row of ``step``."""
        return max(0, (step - 1) // self.interval)


@dataclass(frozen=True)
class Piece:
    """What to replay in one go.

    Attributes:
        start: the step of a checkpoint, whose state the replay begins with.
        stop: the last step.
        segments: the challenged ones among these steps, ascending.
    """

    start: int
    stop: int
    segments: tuple[int, ...] = ()


def route(drawn: Sequence[int], segments: Segments, checkpoints: Sequence[int]) -> list[Piece]:
    """One piece for each checkpoint that challenged segments are nearest to, up to the end of the last of them.

    A checkpoint lies at the end of a segment, so that a segment lies between two of them, and no two pieces have a
    step in common.

    Args:
        drawn: the challenged segments, ascending.
        segments: how the steps fall into segments.
        checkpoints: the steps whose checkpoints are there, ascending; 0 is one.
    """
    nearest: dict[int, list[int]] = {}
    for segment in drawn:
        start, _ = segments.bounds(segment)
        nearest.setdefault(checkpoints[bisect_right(checkpoints, start) - 1], []).append(segment)
    return [Piece(start, segments.bounds(found[-1])[1], tuple(found)) for start, found in nearest.items()]


def between_checkpoints(wanted: Sequence[int], segments: Segments, checkpoints: Sequence[int]) -> list[Piece]:
    """The least stretches between two checkpoints that have these segments in them, ascending, none twice.

    Args:
        wanted: segments, ascending.
        segments: how the steps fall into segments.
        checkpoints: the steps whose checkpoints are there, ascending; the first is 0, the last one T.
    """
    found: dict[tuple[int, int], list[int]] = {}
    for segment in wanted:
        start, stop = segments.bounds(segment)
        ends = checkpoints[bisect_right(checkpoints, start) - 1], checkpoints[bisect_left(checkpoints, stop)]
        found.setdefault(ends, []).append(segment)
    return [Piece(start, stop, tuple(inside)) for (start, stop), inside in found.items()]

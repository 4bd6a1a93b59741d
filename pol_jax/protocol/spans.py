"""Runs of steps: the value for one, the segments of a run, and the routes that lead to steps from checkpoints."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Schedule


@dataclass(frozen=True, order=True)
class Span:
    """A run of consecutive steps, which leads from one state to a later one.

    Attributes:
        start: the step of the state that it begins with; this step itself is not part of the run.
        stop: its last step.
    """

    start: int
    stop: int

    @property
    def steps(self) -> range:
        """The steps that are executed."""
        return range(self.start + 1, self.stop + 1)


def witnessed_spans(schedule: Schedule, steps: Iterable[int], last: int) -> list[Span]:
    """The spans of challenged steps (1 to ``last``), ascending, none twice (section 14 of the protocol).

    The span of a step is the least run of steps around it whose two end states have digests in the ledger: the step
    alone, where the ledger has a digest in every row.

    Raises:
        UsageError: a step that the run doesn't have.
    """
    return sorted({_witnessed_span(schedule, step, last) for step in steps})


def _witnessed_span(schedule: Schedule, step: int, last: int) -> Span:
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
    """The division of T steps into segments of k steps each; the last one may be shorter."""

    steps: int
    interval: int

    def __len__(self) -> int:
        """Number of segments."""
        return -(-self.steps // self.interval)

    def span(self, segment: int) -> Span:
        """The steps of a segment. Checkpoints lie at the ends of segments, and nowhere else."""
        return Span(segment * self.interval, min((segment + 1) * self.interval, self.steps))

    def rows(self, segment: int) -> range:
        """The rows in the segment's file."""
        steps = self.span(segment).steps
        return range(0, steps.stop) if segment == 0 else steps

    def of_step(self, step: int) -> int:
        """The segment whose file has the row of ``step``."""
        return max(0, (step - 1) // self.interval)


@dataclass(frozen=True)
class Route:
    """Steps to execute in one go because they contain what was asked for.

    Attributes:
        span: the steps, from the state of a checkpoint on.
        targets: the runs of steps among them that were asked for, ascending.
    """

    span: Span
    targets: tuple[Span, ...] = ()


def routes(targets: Iterable[Span], checkpoints: Sequence[int]) -> list[Route]:
    """The routes to targets, each from the nearest checkpoint at or before its targets to the end of the last of them.

    Targets with the same nearest checkpoint share a route, so no step is executed twice (section 13 of the protocol):
    the next checkpoint lies behind all of them, as long as no target has a checkpoint inside.

    Args:
        targets: ascending.
        checkpoints: the steps whose checkpoints are there, ascending.

    Raises:
        UsageError: no checkpoint is there before a target.
    """
    by_start: dict[int, list[Span]] = {}
    for target in targets:
        before = bisect_right(checkpoints, target.start)
        if before == 0:
            raise UsageError(f"step {target.stop}: no checkpoint before it; its state can't be regenerated")
        by_start.setdefault(checkpoints[before - 1], []).append(target)
    return [Route(Span(start, found[-1].stop), tuple(found)) for start, found in by_start.items()]


def routes_between_checkpoints(targets: Iterable[Span], checkpoints: Sequence[int]) -> list[Route]:
    """The least runs of steps that contain the targets and both begin and end at a checkpoint.

    A comparison as numbers needs a committed state at both ends (section 13.1 of the protocol).

    Args:
        targets: ascending.
        checkpoints: the steps whose checkpoints are there, ascending; the first is 0, the last one T.
    """
    by_ends: dict[Span, list[Span]] = {}
    for target in targets:
        before, behind = bisect_right(checkpoints, target.start) - 1, bisect_left(checkpoints, target.stop)
        by_ends.setdefault(Span(checkpoints[before], checkpoints[behind]), []).append(target)
    return [Route(span, tuple(found)) for span, found in by_ends.items()]

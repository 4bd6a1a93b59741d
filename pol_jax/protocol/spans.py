"""A span is a run of steps; segments divide a whole run, and routes lead from checkpoints to spans (section 13)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Schedule


@dataclass(frozen=True, order=True)
class Span:
    """A span is a run of consecutive steps, which leads from one state to a later one.

    Attributes:
        start: the step of the state that it begins with; this step itself is not part of the run.
        stop: its last step.
    """

    start: int
    stop: int

    @property
    def steps(self) -> range:
        """Return the steps that are executed."""
        return range(self.start + 1, self.stop + 1)


def witnessed_spans(schedule: Schedule, steps: Iterable[int], last: int) -> list[Span]:
    """Return the spans of challenged steps (1 to ``last``), ascending, none twice (section 14 of the protocol).

    The span of a step is the least run of steps around it whose two end states have digests in the ledger: the step
    alone, where the ledger has a digest in every row.

    Raises:
        UsageError: the run does not have one of the steps.
    """
    return sorted({witnessed_span(schedule, step, last) for step in steps})


def witnessed_span(schedule: Schedule, step: int, last: int) -> Span:
    """Return the span of one challenged step; see `witnessed_spans`.

    Raises:
        UsageError: the run does not have the step.
    """
    if not 1 <= step <= last:
        raise UsageError(f"step {step}: the run has steps 1 to {last}")
    start, stop = step - 1, step
    # A state without a digest in the ledger can be neither checked nor held against anything, so the span grows.
    while not schedule.has_witness(start, last):
        start -= 1
    while not schedule.has_witness(stop, last):
        stop += 1
    return Span(start, stop)


@dataclass(frozen=True)
class Segments:
    """The segments of a run divide its T steps into parts of k steps each; the last one may be shorter."""

    steps: int
    interval: int

    def __len__(self) -> int:
        """Return the number of segments."""
        return -(-self.steps // self.interval)

    def span(self, segment: int) -> Span:
        """Return the steps of a segment. Checkpoints lie at the ends of segments, and nowhere else."""
        return Span(segment * self.interval, min((segment + 1) * self.interval, self.steps))

    def rows(self, segment: int) -> range:
        """Return the rows in the segment's file."""
        steps = self.span(segment).steps
        return range(0, steps.stop) if segment == 0 else steps

    def of_step(self, step: int) -> int:
        """Return the segment whose file has the row of ``step``."""
        # Row 0 is in the file of segment 0 (section 5.1).
        return max(0, (step - 1) // self.interval)


@dataclass(frozen=True)
class Route:
    """A route is a span that is executed at once, because it contains the spans that were asked for.

    Attributes:
        span: the steps, which begin with the state of a checkpoint.
        targets: the spans among them that were asked for, ascending.
    """

    span: Span
    targets: tuple[Span, ...] = ()


def routes(targets: Iterable[Span], checkpoints: Sequence[int]) -> list[Route]:
    """Return the routes to targets, each from the nearest checkpoint before its targets to the end of the last one.

    Targets with the same nearest checkpoint share a route, so that no step is executed twice (section 13 of the
    protocol): the next checkpoint lies after all of them, as long as no target has a checkpoint inside.

    Args:
        targets: ascending.
        checkpoints: the steps whose checkpoints are there, ascending.

    Raises:
        UsageError: there is no checkpoint before a target.
    """
    by_start: dict[int, list[Span]] = {}
    for target in targets:
        before = bisect_right(checkpoints, target.start)
        if before == 0:
            raise UsageError(f"step {target.stop}: no checkpoint before it; its state can't be regenerated")
        by_start.setdefault(checkpoints[before - 1], []).append(target)
    return [Route(Span(start, found[-1].stop), tuple(found)) for start, found in by_start.items()]


def routes_between_checkpoints(targets: Iterable[Span], checkpoints: Sequence[int]) -> list[Route]:
    """Return the shortest spans that contain the targets and both begin and end at a checkpoint.

    A comparison as numbers needs a committed state at both ends (section 13.1 of the protocol).

    Args:
        targets: ascending.
        checkpoints: the steps whose checkpoints are there, ascending; the first is 0, the last one T.
    """
    by_ends: dict[Span, list[Span]] = {}
    for target in targets:
        before, after = bisect_right(checkpoints, target.start) - 1, bisect_left(checkpoints, target.stop)
        by_ends.setdefault(Span(checkpoints[before], checkpoints[after]), []).append(target)
    return [Route(span, tuple(found)) for span, found in by_ends.items()]

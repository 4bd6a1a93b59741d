"""Which replays reach the challenged segments: from the nearest checkpoints that are there, each step in one of them.

A proof may keep few of its checkpoints. A segment without one at its start is reached from an earlier one, over the
segments on the way. Rules without IO.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pol_jax.ledger import Segments


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

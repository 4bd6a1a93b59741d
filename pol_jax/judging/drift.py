"""What a verification leaves room for: how far false or tolerated steps could have led, against how far the run went.

Distances are Euclidean, over all floating-point leaves (section 12.2 of the protocol). Rules without IO.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

import numpy as np

from pol_jax.judging.leaf_distances import finite_distance
from pol_jax.protocol.challenge import JointSegments, Policy, RandomSegments
from pol_jax.protocol.distances import distance, finite
from pol_jax.protocol.sampling import false_segments
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.curves import Update
from pol_jax.reports.report import Compared, Drift

LARGEST_SHARE: Final = 0.1
"""What tolerances may add up to, as a share of the distance that the run went; beyond it nothing is accepted."""

INFINITESIMAL: Final = 1e-3
"""Share of the median update below which one is called infinitesimal (Fang et al., EuroS&P 2023, hide behind such)."""


class Course:
    """The way of a run from checkpoint to checkpoint; three states in memory at a time."""

    def __init__(self, spec: StateSpec) -> None:
        """Of states of this specification."""
        self._spec = spec
        self._first: Sequence[np.ndarray] | None = None
        self._last: tuple[int, Sequence[np.ndarray]] | None = None
        self.updates: list[Update] = []
        """Between consecutive states."""

    def add(self, step: int, leaves: Sequence[np.ndarray]) -> None:
        """Take the next state."""
        if self._last is None:
            self._first = leaves
        else:
            start, before = self._last
            self.updates.append(Update(start, step, finite(distance(self._spec, before, leaves, "l2"))))
        self._last = step, leaves

    @property
    def distance(self) -> float | None:
        """Between the first and the last state (`finite_distance`); None where there is only one.

        What is never finite counts for nothing, here as in a comparison: else it would take the bound on drift away.
        """
        if self._first is None or self._last is None or self._first is self._last[1]:
            return None
        return finite(finite_distance(self._spec, self._first, self._last[1]))


def drift_of(
    course: Course,
    policy: Policy,
    segments: int,
    checked: Iterable[Span],
    compared: Sequence[Compared],
    steps: int,
    d_ref: float | None,
) -> Drift:
    """What a proof's verification leaves room for.

    Args:
        course: of its checkpoints.
        policy: the verifier's.
        segments: how many the proof has.
        checked: runs of steps that came out, bit for bit or within the tolerance.
        compared: those within the tolerance.
        steps: T.
        d_ref: the verifier's.
    """
    sizes = [each.magnitude for each in course.updates]
    spans = _joined(checked)
    unchecked = [each.magnitude for each in course.updates if not _lies_in(Span(each.start, each.stop), spans)]
    most = len(unchecked)
    if isinstance(policy, RandomSegments | JointSegments):
        most = min(most, false_segments(segments, policy.fraction) - 1)
    by_chance = isinstance(policy, RandomSegments | JointSegments) and most < len(unchecked)
    return Drift(
        distance=course.distance,
        path=_sum(sizes),
        unchecked=_sum(sorted(unchecked, key=lambda size: math.inf if size is None else size, reverse=True)[:most]),
        confidence=policy.confidence if by_chance else None,  # type: ignore[union-attr]
        tolerated=tolerated(compared, steps),
        d_ref=d_ref,
        updates=len(sizes),
        infinitesimal=infinitesimal(sizes),
    )


def drift_of_opening(
    sizes: Sequence[float], whole: float | None, compared: Sequence[Compared], steps: int, d_ref: float | None
) -> Drift:
    """What an opening's verification leaves room for; nothing is known of what was not opened.

    Args:
        sizes: of the updates of the opened spans.
        whole: distance from the initial state to the last one, if both were opened.
        compared: within the tolerance.
        steps: T.
        d_ref: the verifier's.
    """
    updates = [finite(size) for size in sizes]
    return Drift(
        distance=None if whole is None else finite(whole),
        path=None,
        unchecked=None,
        confidence=None,
        tolerated=tolerated(compared, steps),
        d_ref=d_ref,
        updates=len(updates),
        infinitesimal=infinitesimal(updates),
    )


def tolerated(compared: Sequence[Compared], steps: int) -> float | None:
    """What the whole run could be off, if each of its steps were by as much as was tolerated in those that passed."""
    passed = [each for each in compared if each.passed and each.start >= 0]
    if not passed:
        return None if any(each.start >= 0 for each in compared) else 0.0
    allowed = _sum(
        [None if each.tolerance is None or each.limit is None else min(each.tolerance, each.limit) for each in passed]
    )
    return None if allowed is None else allowed * steps / sum(each.stop - each.start for each in passed)


def infinitesimal(sizes: Sequence[float | None]) -> int:
    """How many updates are far below the run's own."""
    finite = [size for size in sizes if size is not None]
    return sum(size <= INFINITESIMAL * median(finite) for size in finite) if finite else 0


def too_far(drift: Drift) -> str | None:
    """Why what tolerances add up to is not small, in words; None where it is, or where nothing can be said."""
    known = [scale for scale in (drift.distance, drift.d_ref) if scale is not None]
    if not drift.tolerated or not known or drift.tolerated <= LARGEST_SHARE * min(known):
        return None
    of = f"{min(known):.1e}, the smaller of d_ref and" if drift.d_ref is not None else f"{min(known):.1e},"
    way = f"{of} the distance from the first state to the last"
    return f"tolerances add up to {drift.tolerated:.1e} over the run; at most {LARGEST_SHARE:.0%} of {way}"


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Runs of steps, those that touch made one."""
    joined = list[Span]()
    for span in sorted(spans):
        if joined and span.start <= joined[-1].stop:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return joined


def _lies_in(span: Span, runs: Iterable[Span]) -> bool:
    return any(run.start <= span.start and span.stop <= run.stop for run in runs)


def _sum(sizes: Sequence[float | None]) -> float | None:
    total = 0.0
    for size in sizes:
        if size is None:
            return None
        total += size
    return finite(total)

"""False or tolerated steps could have led a run astray; this is held against how far it went (section 13.1).

A verification checks some steps, and passes some within a tolerance. How far a cheating prover could have led the run
is bounded by what was not checked and by what tolerances allow. Distances are Euclidean, over all floating leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

import msgspec

from pol_jax.judging.displacement import Displacement, displacements
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.judging.tolerated import Tolerated
from pol_jax.protocol.distances import distance, finite
from pol_jax.protocol.policies import JointSegments, Policy, RandomSegments
from pol_jax.protocol.sampling import false_segments
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.reports.curves import Update
from pol_jax.reports.drift import Drift
from pol_jax.reports.provenance import Ancestor

LARGEST_SHARE: Final = 0.1
"""Tolerances may add up to this share of the distance that the run went; beyond it nothing is accepted."""

INFINITESIMAL: Final = 1e-3
"""An update is infinitesimal below this share of the median one. Fang et al. (EuroS&P 2023) hide false segments behind
such updates."""


class Trajectory:
    """A trajectory measures the states of a run at its checkpoints, as they are read.

    It keeps the first state and the last one that was added, and asks for a leaf at a time: large states that read
    their leaves when they are asked for are never held whole.
    """

    def __init__(self, spec: StateSpec) -> None:
        """Begin a trajectory of states of this specification."""
        self._spec = spec
        self._first: HostLeaves | None = None
        self._last: tuple[int, HostLeaves] | None = None
        self.updates: list[Update] = []
        """These are the distances between consecutive states."""

    def add(self, step: int, leaves: HostLeaves) -> None:
        """Take the state after ``step``, the next one."""
        if self._last is None:
            self._first = leaves
        else:
            start, before = self._last
            self.updates.append(Update(start, step, finite(distance(self._spec, before, leaves, "l2"))))
        self._last = step, leaves

    @property
    def spec(self) -> StateSpec:
        """Return the specification of the states."""
        return self._spec

    @property
    def displacements(self) -> list[Displacement] | None:
        """Return how far each leaf went from the first to the last state; None where there is only one state.

        Elements that are not finite are left out, as in a comparison: else a program could keep a leaf that is never
        finite, and take the bound on drift away.
        """
        if self._first is None or self._last is None or self._first is self._last[1]:
            return None
        return displacements(self._spec, self._first, self._last[1])


def drift_of(
    trajectory: Trajectory,
    policy: Policy,
    segments: int,
    confirmed: Iterable[Span],
    tolerated: Tolerated,
    d_ref: float | None,
) -> Drift:
    """Bound what false and tolerated steps of a proof could have done.

    A policy that meets a false segment with confidence C, if f of n are false, shows with that confidence that fewer
    than ``false_segments(n, f)`` are. So the largest updates that were not checked, one fewer than these, are the most
    that false segments could have done. Where the prover could foresee what is checked, it is all of them.

    Args:
        trajectory: of the proof's checkpoints.
        policy: the verifier's.
        segments: how many the proof has.
        confirmed: runs of steps that were reproduced, bit for bit or within the tolerance.
        tolerated: what was compared as numbers.
        d_ref: a distance between two honest trainings, if the verifier gave one.
    """
    sizes = [each.magnitude for each in trajectory.updates]
    checked = _join(confirmed)
    unchecked = [each.magnitude for each in trajectory.updates if not _lies_in(each.span, checked)]
    count, confidence = len(unchecked), None
    if isinstance(policy, RandomSegments | JointSegments):
        # Section 13.1: the draw meets m false segments with confidence C, so with that confidence at most m - 1 are
        # false.
        possible = false_segments(segments, policy.fraction) - 1
        if possible < count:
            count, confidence = possible, policy.confidence
    # A prover would falsify the segments in which most can be moved. A size that is not known may be any.
    largest = sorted(unchecked, key=lambda size: math.inf if size is None else size, reverse=True)[:count]
    measured = _drift_of_updates(sizes, trajectory.spec, trajectory.displacements, tolerated, d_ref)
    return msgspec.structs.replace(measured, path=_sum(sizes), unchecked=_sum(largest), confidence=confidence)


def drift_of_opening(
    sizes: Sequence[float],
    spec: StateSpec,
    moved: Sequence[Displacement] | None,
    tolerated: Tolerated,
    d_ref: float | None,
) -> Drift:
    """Bound what tolerated steps of an opened run could have done; nothing is known of steps that were not opened.

    Args:
        sizes: of the updates of the opened spans.
        spec: of the states.
        moved: how far each leaf went from the initial state to the last one, if both were opened.
        tolerated: what was compared as numbers.
        d_ref: a distance between two honest trainings, if the verifier gave one.
    """
    return _drift_of_updates([finite(size) for size in sizes], spec, moved, tolerated, d_ref)


def _drift_of_updates(
    sizes: Sequence[float | None],
    spec: StateSpec,
    moved: Sequence[Displacement] | None,
    tolerated: Tolerated,
    d_ref: float | None,
) -> Drift:
    """Return what is known of a drift where nothing is known of steps beside the updates of these sizes."""
    leaf, share = tolerated.largest_share(spec, moved)
    return Drift(
        distance=_total_distance(spec, moved),
        path=None,
        unchecked=None,
        confidence=None,
        tolerated=tolerated.distance,
        d_ref=d_ref,
        updates=len(sizes),
        infinitesimal=count_infinitesimal(sizes),
        share=share,
        leaf=leaf,
    )


def count_infinitesimal(sizes: Sequence[float | None]) -> int:
    """Return how many updates are far below the median of those that are finite."""
    known = [size for size in sizes if size is not None]
    return sum(size <= INFINITESIMAL * median(known) for size in known) if known else 0


def drift_objection(drift: Drift) -> str | None:
    """Return why a proof is not accepted for what tolerances add up to; None where that is nothing, or small.

    Where the distances are not known, nothing bounds them.
    """
    # Everything was equal bit for bit, so there is nothing to bound.
    if not drift.tolerated and drift.leaf is None and drift.share == 0:
        return None
    if drift.distance is None:
        return "tolerances may add up to anything: the distance from the initial to the final state is not known"
    if drift.share is None or drift.share > LARGEST_SHARE:
        share = "more than all" if drift.share is None else f"{drift.share:.1%}"
        return (
            f"tolerances add up to {share} of the distance of leaf {drift.leaf or '/'} from the initial to the final "
            f"state; allowed is at most {LARGEST_SHARE:.0%}"
        )
    # A run may go far and come back near: d_ref is how far two honest trainings end apart, so it bounds what is worth
    # faking.
    known = [scale for scale in (drift.distance, drift.d_ref) if scale is not None]
    if not drift.tolerated or not known or drift.tolerated <= LARGEST_SHARE * min(known):
        return None
    scale = "the smaller of d_ref and the distance" if drift.d_ref is not None else "the distance"
    most = f"at most {LARGEST_SHARE:.0%} of {min(known):.1e}, {scale} from the initial to the final state"
    return f"tolerances add up to {drift.tolerated:.1e} over the run; allowed is {most}"


def with_ancestors(drift: Drift, ancestors: Sequence[Ancestor]) -> Drift:
    """Add to what tolerances allow in a run what they allowed in the earlier runs that its initial state comes from.

    Shares of leaves add up too: runs of a chain, each of which stays within its bound, must not go beyond it together.
    """
    before, share = (sum(each.tolerated for each in ancestors), sum(each.share for each in ancestors))
    if not before and not share:
        return drift
    worst = max(ancestors, key=lambda each: each.share)
    leaf = drift.leaf if drift.leaf is not None or worst.drift is None else worst.drift.leaf
    return msgspec.structs.replace(
        drift,
        tolerated=math.inf if drift.tolerated is None else drift.tolerated + before,
        share=None if drift.share is None else finite(drift.share + share),
        leaf=leaf,
    )


def _join(spans: Iterable[Span]) -> list[Span]:
    """Return the same steps in as few runs as possible: those that touch or overlap are made one."""
    joined = list[Span]()
    # An update may be confirmed by two replays together, each of which covers a part of it.
    for span in sorted(spans):
        if joined and span.start <= joined[-1].stop:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return joined


def _lies_in(span: Span, runs: Iterable[Span]) -> bool:
    return any(run.start <= span.start and span.stop <= run.stop for run in runs)


def _total_distance(spec: StateSpec, moved: Sequence[Displacement] | None) -> float | None:
    """Return the distance of all floating-point leaves together."""
    if moved is None:
        return None
    floating = (each.distance for leaf, each in zip(spec, moved, strict=True) if is_floating(leaf.dtype))
    return finite(math.hypot(*floating))


def _sum(sizes: Sequence[float | None]) -> float | None:
    """Return the sum, or None if a size or the sum is not finite."""
    total = 0.0
    for size in sizes:
        if size is None:
            return None
        total += size
    return finite(total)

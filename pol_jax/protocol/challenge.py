"""Which segments are replayed. The policy is the verifier's argument; nothing of it comes from the proof.

A random draw is a function of (claim digest, nonce, policy): the first places of the permutation of the segments under
the draw's key, by the same network that orders records. The largest updates are a function of the states that the
ledger commits to. Anyone can repeat both: the one from a report, the other from the proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
import numpy as np

from pol_jax.errors import UsageError
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import Digest, draw_key, order_keys
from pol_jax.protocol.order import ROUNDS, permute
from pol_jax.protocol.sampling import segments_needed

Metric = Literal["l1", "l2", "linf", "cosine"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
"""By what the size of an update is measured."""

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class RandomSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="random"):
    """As many random segments as it takes to meet a false one.

    Attributes:
        confidence: the least probability of meeting a false segment...
        fraction: ...if this share of the segments is false.
    """

    confidence: Share = 0.99
    fraction: Share = 0.05


class ListedSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="listed"):
    """These segments; the first is 0."""

    segments: tuple[int, ...]


class AllSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="all"):
    """Every segment."""


class TopSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="top"):
    """Of every epoch the segments with the largest updates (Jia et al., IEEE S&P 2021, algorithm 2).

    The prover foresees them, and who keeps false updates small is never met (Fang et al., EuroS&P 2023): the
    probability of meeting a false segment that a report gives is 0, as for a list. See `JointSegments`.

    Attributes:
        q: how many of each epoch.
        metric: the distance between the states at both ends.
    """

    q: Count
    metric: Metric = "l2"


class JointSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="joint"):
    """`TopSegments` and `RandomSegments` together, so that neither small updates nor luck alone hide a false segment.

    Attributes:
        q: how many of each epoch are chosen by size.
        metric: of the size.
        confidence: of the random draw; the probability that a report gives is that of this draw alone.
        fraction: likewise.
    """

    q: Count
    metric: Metric = "l2"
    confidence: Share = 0.99
    fraction: Share = 0.05


class RandomSteps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="random steps"):
    """As many random steps as it takes to meet a false one; for openings.

    Attributes:
        confidence: the least probability of meeting a false step...
        fraction: ...if this share of the steps is false.
    """

    confidence: Share = 0.99
    fraction: Share = 0.05


class ListedSteps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="listed steps"):
    """These steps; the first is 1. For openings."""

    steps: tuple[int, ...]


Policy: TypeAlias = RandomSegments | ListedSegments | AllSegments | TopSegments | JointSegments
"""Which segments of a proof are replayed."""

StepPolicy: TypeAlias = RandomSteps | ListedSteps
"""Which steps the prover is asked to open."""


@dataclass(frozen=True)
class Stretch:
    """The segments between two consecutive checkpoints that are there, ranked as one: a single one if none is missing.

    Attributes:
        segments: first to last.
        epoch: in which the first record of the first one lies.
        magnitude: distance between the two states.
    """

    segments: range
    epoch: int
    magnitude: float


def check_policy(policy: Policy) -> Policy:
    """The policy, if it would check something.

    Raises:
        UsageError: an empty list, a share that is none, or no number of segments or metric.
    """
    if isinstance(policy, ListedSegments) and not policy.segments:
        raise UsageError("segments: an empty list would check nothing; name at least one")
    if isinstance(policy, RandomSegments | JointSegments):
        _check_shares(policy.confidence, policy.fraction)
    if isinstance(policy, TopSegments | JointSegments):
        if type(policy.q) is not int or not 1 <= policy.q < 2**53:
            raise UsageError(f"top-q: expected a whole number from 1, got {policy.q}; less would check nothing")
        if policy.metric not in METRICS:
            raise UsageError(f"metric {policy.metric!r}: expected one of {', '.join(METRICS)}")
    return policy


def draw_steps(policy: StepPolicy, steps: int, claim: Digest, nonce: bytes) -> list[int]:
    """The steps to open, ascending.

    Args:
        policy: the verifier's.
        steps: T; the run has the steps 1 to T.
        claim: digest of the claim.
        nonce: what the prover couldn't foresee.

    Raises:
        UsageError: the policy would check nothing, or names a step that isn't there.
    """
    if isinstance(policy, RandomSteps):
        _check_shares(policy.confidence, policy.fraction)
        return sorted(step + 1 for step in _random(policy, steps, claim, nonce))
    if not policy.steps:
        raise UsageError("steps: an empty list would check nothing; name at least one")
    for step in policy.steps:
        if not 1 <= step <= steps:
            raise UsageError(f"step {step}: the run has steps 1 to {steps}")
    return sorted(set(policy.steps))


def metric_of(policy: Policy | StepPolicy) -> Metric | None:
    """By what the policy ranks updates; None if it ranks none."""
    return policy.metric if isinstance(policy, TopSegments | JointSegments) else None


def draw(
    policy: Policy, segments: int, claim: Digest, nonce: bytes, stretches: Sequence[Stretch] | None = None
) -> list[int]:
    """The segments to replay, ascending.

    Args:
        policy: the verifier's.
        segments: how many the proof has.
        claim: digest of the claim.
        nonce: what the prover couldn't foresee.
        stretches: all segments, measured and in order; for a policy that ranks them.

    Raises:
        UsageError: the policy would check nothing, or names a segment that isn't there.
        ValueError: the policy ranks segments, and ``stretches`` are not all of them.
    """
    check_policy(policy)
    match policy:
        case AllSegments():
            return list(range(segments))
        case ListedSegments():
            return _listed(policy, segments)
        case RandomSegments():
            return sorted(_random(policy, segments, claim, nonce))
        case TopSegments():
            return sorted(_top(policy.q, segments, stretches or ()))
        case JointSegments():
            return sorted(_top(policy.q, segments, stretches or ()) | _random(policy, segments, claim, nonce))


def by_chance(policy: Policy | StepPolicy, segments: int, replayed: int) -> int:
    """How many of the replayed segments count for the probability of meeting a false one.

    Those that the prover could foresee don't, unless all are replayed.
    """
    if replayed >= segments:
        return segments
    if isinstance(policy, ListedSegments | TopSegments | ListedSteps):
        return 0
    if isinstance(policy, JointSegments):
        return min(replayed, segments_needed(segments, policy.confidence, policy.fraction))
    return replayed


def _check_shares(confidence: float, fraction: float) -> None:
    if not (0 < confidence < 1 and 0 < fraction < 1):
        raise UsageError("confidence and fraction: expected numbers between 0 and 1, both exclusive")


def _random(
    policy: RandomSegments | JointSegments | RandomSteps, segments: int, claim: Digest, nonce: bytes
) -> set[int]:
    count = segments_needed(segments, policy.confidence, policy.fraction)
    keys = order_keys(draw_key(claim, nonce, encode(policy)), 0, ROUNDS)[:, None]
    return set(permute(keys, segments, np.arange(count, dtype=np.uint64)).tolist())


def _top(q: int, segments: int, stretches: Sequence[Stretch]) -> set[int]:
    """The segments of the ``q`` largest stretches of every epoch; of equal ones the earlier."""
    if [0, *(each.segments.stop for each in stretches)] != [*(each.segments.start for each in stretches), segments]:
        raise ValueError(f"expected the magnitudes of {segments} segments, in order")
    epochs: dict[int, list[Stretch]] = {}
    for stretch in sorted(stretches, key=_size, reverse=True):  # stable: equal ones stay in order
        epochs.setdefault(stretch.epoch, []).append(stretch)
    return {segment for ranked in epochs.values() for stretch in ranked[:q] for segment in stretch.segments}


def _size(stretch: Stretch) -> float:
    """What a stretch is ranked by: a NaN compares with nothing, and must not hide it."""
    return stretch.magnitude if math.isfinite(stretch.magnitude) else math.inf


def _listed(policy: ListedSegments, segments: int) -> list[int]:
    for segment in policy.segments:
        if not 0 <= segment < segments:
            raise UsageError(f"segment {segment}: the proof has segments 0 to {segments - 1}")
    return sorted(set(policy.segments))

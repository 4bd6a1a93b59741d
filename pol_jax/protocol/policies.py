"""A policy says what a verifier wants to have replayed; nothing of it ever comes from the proof (section 12)."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec

from pol_jax.errors import UsageError

Metric = Literal["l1", "l2", "linf", "cosine"]


METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
"""The size of an update is measured by one of these distances."""


Proportion = Annotated[float, msgspec.Meta(gt=0, lt=1)]
"""A probability or a share; neither 0 nor 1 is one."""


UpdateCount = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class RandomSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="random"):
    """This policy replays as many random segments as are needed to meet a false one.

    Attributes:
        confidence: the smallest probability of meeting a false segment...
        fraction: ...if this share of the segments is false.
    """

    confidence: Proportion = 0.99
    fraction: Proportion = 0.05


class ListedSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="listed"):
    """This policy replays the listed segments; the first segment is 0."""

    segments: tuple[int, ...]


class AllSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="all"):
    """This policy replays every segment."""


class TopSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="top"):
    """This policy replays the segments with the largest updates of every epoch (Jia et al., S&P 2021, algorithm 2).

    The prover can foresee them, and false updates that are kept small are never met (Fang et al., EuroS&P 2023).
    Therefore a report gives the probability 0 of meeting a false segment, as for a list. See `JointSegments`.

    Attributes:
        q: how many of each epoch.
        metric: the distance between the states at both ends.
    """

    q: UpdateCount
    metric: Metric = "l2"


class JointSegments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="joint"):
    """This policy joins `TopSegments` and `RandomSegments`, so that small updates alone don't hide a false segment.

    Attributes:
        q: how many of each epoch are chosen by size.
        metric: of the size.
        confidence: of the random draw; the probability that a report gives is that of this draw alone.
        fraction: likewise.
    """

    q: UpdateCount
    metric: Metric = "l2"
    confidence: Proportion = 0.99
    fraction: Proportion = 0.05


class RandomSteps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="random steps"):
    """This policy for openings asks for as many random steps as are needed to meet a false one.

    Attributes:
        confidence: the smallest probability of meeting a false step...
        fraction: ...if this share of the steps is false.
    """

    confidence: Proportion = 0.99
    fraction: Proportion = 0.05


class ListedSteps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="policy", tag="listed steps"):
    """This policy for openings asks for the listed steps; the first step is 1."""

    steps: tuple[int, ...]


Policy: TypeAlias = RandomSegments | ListedSegments | AllSegments | TopSegments | JointSegments
"""A policy says which segments of a proof are replayed."""


StepPolicy: TypeAlias = RandomSteps | ListedSteps
"""A step policy says which steps the prover is asked to open."""


def check_policy(policy: Policy) -> Policy:
    """Return the policy if it would check something.

    Raises:
        UsageError: a list is empty, a share is not between 0 and 1, or a number of segments or a metric is none.
    """
    if isinstance(policy, ListedSegments) and not policy.segments:
        raise UsageError("segments: an empty list would check nothing; name at least one segment")
    if isinstance(policy, RandomSegments | JointSegments):
        check_shares(policy.confidence, policy.fraction)
    if isinstance(policy, TopSegments | JointSegments):
        # ``type`` and not ``isinstance``: True is an int for Python, and would be the number 1.
        if type(policy.q) is not int or not 1 <= policy.q < 2**53:
            raise UsageError(f"top-q: expected a whole number from 1, got {policy.q}; less would check nothing")
        if policy.metric not in METRICS:
            raise UsageError(f"metric {policy.metric!r}: expected one of {', '.join(METRICS)}")
    return policy


def metric_of(policy: Policy | StepPolicy) -> Metric | None:
    """Return the distance by which the policy ranks updates, or None if it ranks none."""
    return policy.metric if isinstance(policy, TopSegments | JointSegments) else None


def check_shares(confidence: float, fraction: float) -> None:
    """Refuse a chance by which nothing, or everything, would be drawn.

    Raises:
        UsageError: one of the numbers is not between 0 and 1.
    """
    # Written so that a NaN is refused too.
    if not (0 < confidence < 1 and 0 < fraction < 1):
        raise UsageError("confidence and fraction: expected numbers between 0 and 1, both exclusive")

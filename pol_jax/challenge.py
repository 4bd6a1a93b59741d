"""Which segments are replayed. The policy is the verifier's argument; nothing of it comes from the proof.

A draw is a function of (claim digest, nonce, policy): the first q places of the permutation of the segments under the
draw's key, by the same network that orders records. Anyone can repeat it from a report.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, TypeAlias

import msgspec
import numpy as np

from pol_jax.documents import encode
from pol_jax.encoding import Digest, draw_key, order_keys
from pol_jax.errors import UsageError
from pol_jax.order import ROUNDS, permute

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]

_NEAR = 1e-9


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


Policy: TypeAlias = RandomSegments | ListedSegments | AllSegments


def check_policy(policy: Policy) -> Policy:
    """The policy, if it would check something.

    Raises:
        UsageError: an empty list, or a share that is none.
    """
    if isinstance(policy, ListedSegments) and not policy.segments:
        raise UsageError("segments: an empty list would check nothing; name at least one")
    if isinstance(policy, RandomSegments) and not (0 < policy.confidence < 1 and 0 < policy.fraction < 1):
        raise UsageError("confidence and fraction: expected numbers between 0 and 1, both exclusive")
    return policy


def draw(policy: Policy, segments: int, claim: Digest, nonce: bytes) -> list[int]:
    """The segments to replay, ascending.

    Args:
        policy: the verifier's.
        segments: how many the proof has.
        claim: digest of the claim.
        nonce: what the prover couldn't foresee.

    Raises:
        UsageError: the policy would check nothing, or names a segment that isn't there.
    """
    check_policy(policy)
    if isinstance(policy, AllSegments):
        return list(range(segments))
    if isinstance(policy, ListedSegments):
        return _listed(policy, segments)
    count = segments_needed(segments, policy.confidence, policy.fraction)
    keys = order_keys(draw_key(claim, nonce, encode(policy)), 0, ROUNDS)[:, None]
    return sorted(permute(keys, segments, np.arange(count, dtype=np.uint64)).tolist())


def segments_needed(segments: int, confidence: float, fraction: float) -> int:
    """The least sample that meets a false segment with ``confidence`` if ``fraction`` of ``segments`` is false.

    Exact: drawing without replacement is hypergeometric, and both numbers are the decimals that the report shows, so
    that a draw is the same wherever it is repeated.
    """
    false = false_segments(segments, fraction)
    low = high = 1
    while not _meets(segments, false, high, confidence):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        if _meets(segments, false, middle, confidence):
            high = middle
        else:
            low = middle + 1
    return low


def false_segments(segments: int, fraction: float) -> int:
    """How many segments are false if ``fraction`` of them is: rounded up, at least 1."""
    return max(1, math.ceil(_decimal(fraction) * segments))


def detection_probability(segments: int, false: int, drawn: int) -> float:
    """Probability that ``drawn`` of ``segments`` hold at least one of ``false``: 1 - C(n-m, q) / C(n, q)."""
    if drawn > segments - false:
        return 1.0
    few, many = sorted((false, drawn))  # C(n-m, q) / C(n, q) = C(n-q, m) / C(n, m)
    return -math.expm1(sum(math.log1p(-many / (segments - at)) for at in range(few)))


def _meets(segments: int, false: int, drawn: int, confidence: float) -> bool:
    """Whether the detection probability is at least ``confidence``; in whole numbers where floats are too near."""
    estimate = detection_probability(segments, false, drawn)
    if drawn > segments - false or abs(estimate - confidence) > _NEAR:
        return estimate >= confidence
    few, many = sorted((false, drawn))
    missed = math.prod(range(segments - many - few + 1, segments - many + 1))
    return missed <= (1 - _decimal(confidence)) * math.prod(range(segments - few + 1, segments + 1))


def _decimal(number: float) -> Fraction:
    """The shortest decimal that reads as ``number``: what canonical JSON writes."""
    return Fraction(repr(float(number)))


def _listed(policy: ListedSegments, segments: int) -> list[int]:
    for segment in policy.segments:
        if not 0 <= segment < segments:
            raise UsageError(f"segment {segment}: the proof has segments 0 to {segments - 1}")
    return sorted(set(policy.segments))

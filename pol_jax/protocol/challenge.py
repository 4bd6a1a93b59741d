"""A challenge chooses the segments that are replayed, by the verifier's policy (docs/protocol.md, section 12).

Nothing of the policy comes from the proof. A random draw is a function of claim digest, nonce and policy. The largest
updates are a function of the states that the ledger commits to. Anyone can repeat both: the draw from a report, the
updates from the proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from pol_jax.errors import UsageError
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import DIGEST_BYTES, FORMAT, FORMAT_1, Digest, Format, draw_key, order_keys
from pol_jax.protocol.order import ROUNDS, permute
from pol_jax.protocol.policies import (
    AllSegments,
    JointSegments,
    ListedSegments,
    ListedSteps,
    Policy,
    RandomSegments,
    RandomSteps,
    StepPolicy,
    TopSegments,
    check_policy,
    check_shares,
)
from pol_jax.protocol.sampling import sample, segments_needed

NONCE_BYTES: Final = range(16, 65)
"""A nonce that a verifier draws by has this many bytes: of fewer, a prover could try them all beforehand."""


@dataclass(frozen=True)
class Stretch:
    """A stretch is the segments between two consecutive checkpoints, which are ranked as one (section 12.2).

    If no checkpoint is missing, it is a single segment.

    Attributes:
        segments: the segments, in order.
        epoch: the epoch in which the first record of the first segment lies.
        magnitude: the distance between the states at both ends.
    """

    segments: range
    epoch: int
    magnitude: float


def check_nonce(nonce: bytes) -> bytes:
    """Return a nonce that a verifier may draw by. `draw` takes any, so that it can repeat whatever was drawn.

    Raises:
        UsageError: it has fewer than 16 bytes, or more than 64.
    """
    if len(nonce) not in NONCE_BYTES:
        raise UsageError(f"nonce: got {len(nonce)} bytes, expected 16 to 64 that the prover can't have foreseen")
    return nonce


def challenged_steps(
    policy: StepPolicy, steps: int, claim: Digest, nonce: bytes, version: Format = FORMAT
) -> list[int]:
    """Return the steps that the prover is asked to open, ascending: those that are drawn and, with them, the ends.

    Random steps alone rarely include the first one, which shows that the run begins with the initial state, or the last
    one, which leads to the claimed model. The arguments and errors are those of `draw_steps`.
    """
    drawn = draw_steps(policy, steps, claim, nonce, version)
    # Section 12.3: without step 1 nobody sees that the run begins with the initial state, and without T not where it
    # ends.
    return sorted({1, *drawn, steps}) if isinstance(policy, RandomSteps) else drawn


def draw_steps(policy: StepPolicy, steps: int, claim: Digest, nonce: bytes, version: Format = FORMAT) -> list[int]:
    """Return the steps that are drawn or listed, ascending (section 12.3).

    Args:
        policy: the policy of the verifier.
        steps: T; the run has the steps 1 to T.
        claim: digest of the claim.
        nonce: bytes that the prover could not foresee.
        version: of the claim; it decides how the draw is made.

    Raises:
        UsageError: the policy would check nothing, or names a step that the run does not have.
    """
    if isinstance(policy, RandomSteps):
        check_shares(policy.confidence, policy.fraction)
        return sorted(step + 1 for step in _random(policy, steps, claim, nonce, version))
    if not policy.steps:
        raise UsageError("steps: an empty list would check nothing; name at least one")
    for step in policy.steps:
        if not 1 <= step <= steps:
            raise UsageError(f"step {step}: the run has steps 1 to {steps}")
    return sorted(set(policy.steps))


def draw(
    policy: Policy,
    segments: int,
    claim: Digest,
    nonce: bytes,
    stretches: Sequence[Stretch] | None = None,
    version: Format = FORMAT,
) -> list[int]:
    """Return the segments to replay, ascending.

    Args:
        policy: the policy of the verifier.
        segments: number of segments of the proof.
        claim: digest of the claim.
        nonce: bytes that the prover could not foresee.
        stretches: all segments, measured and in order, if the policy ranks them.
        version: of the claim; it decides how the draw is made.

    Raises:
        UsageError: the policy would check nothing, or names a segment that the proof does not have.
        ValueError: the policy ranks segments, and ``stretches`` are not all of them.
    """
    check_policy(policy)
    match policy:
        case AllSegments():
            return list(range(segments))
        case ListedSegments():
            return _listed(policy, segments)
        case RandomSegments():
            return sorted(_random(policy, segments, claim, nonce, version))
        case TopSegments():
            return sorted(_top(policy.q, segments, stretches or ()))
        case JointSegments():
            return sorted(_top(policy.q, segments, stretches or ()) | _random(policy, segments, claim, nonce, version))


def by_chance(policy: Policy | StepPolicy, segments: int, replayed: int) -> int:
    """Return how many of the replayed segments count for the probability of meeting a false one.

    Segments that the prover could foresee do not count, unless all segments are replayed.
    """
    # Where everything was replayed there is nothing that a prover could have foreseen.
    if replayed >= segments:
        return segments
    # What the prover can foresee meets no false segment that they have placed elsewhere (sections 12.2 and 13.1).
    if isinstance(policy, ListedSegments | TopSegments | ListedSteps):
        return 0
    if isinstance(policy, JointSegments | RandomSteps):  # a challenge of random steps has two more, which are foreseen
        return min(replayed, segments_needed(segments, policy.confidence, policy.fraction))
    return replayed


def _random(
    policy: RandomSegments | JointSegments | RandomSteps, segments: int, claim: Digest, nonce: bytes, version: Format
) -> set[int]:
    count = segments_needed(segments, policy.confidence, policy.fraction)
    # Version 1 drew by the permutation of section 8, which is not quite uniform for tiny n (appendix A).
    if version == FORMAT_1:
        keys = order_keys(draw_key(claim, nonce, encode(policy), DIGEST_BYTES, FORMAT_1), 0, ROUNDS)[:, None]
        return set(permute(keys, segments, np.arange(count, dtype=np.uint64)).tolist())
    return sample(segments, count, partial(draw_key, claim, nonce, encode(policy)))


def _top(q: int, segments: int, stretches: Sequence[Stretch]) -> set[int]:
    """Return the segments of the ``q`` largest stretches of every epoch; of equal ones the earlier comes first."""
    # A segment that no stretch measured could never be chosen by size, and nobody would see that.
    if [0, *(each.segments.stop for each in stretches)] != [*(each.segments.start for each in stretches), segments]:
        raise ValueError(f"expected the magnitudes of {segments} segments, in order")
    epochs: dict[int, list[Stretch]] = {}
    for stretch in sorted(stretches, key=_size, reverse=True):  # stable: equal ones stay in order
        epochs.setdefault(stretch.epoch, []).append(stretch)
    return {segment for ranked in epochs.values() for stretch in ranked[:q] for segment in stretch.segments}


def _size(stretch: Stretch) -> float:
    """Return the number by which a stretch is ranked: a NaN counts as infinite, so that it can't hide the stretch."""
    return stretch.magnitude if math.isfinite(stretch.magnitude) else math.inf


def _listed(policy: ListedSegments, segments: int) -> list[int]:
    for segment in policy.segments:
        if not 0 <= segment < segments:
            raise UsageError(f"segment {segment}: the proof has segments 0 to {segments - 1}")
    return sorted(set(policy.segments))

"""These vectors pin sample sizes, and draws of segments and steps (docs/protocol.md, section 12)."""

from __future__ import annotations

import math
from typing import Final

from pol_jax.protocol.challenge import Stretch, draw, draw_steps
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import Format
from pol_jax.protocol.policies import JointSegments, RandomSegments, RandomSteps, TopSegments
from pol_jax.protocol.sampling import false_segments, segments_needed
from vectors.form import Vector, number, pattern

CLAIM: Final = pattern(32, 50)
VERSIONS: Final[tuple[Format, ...]] = ("pol-jax/2", "pol-jax/1")
SHARES: Final = ((0.5, 0.5), (0.9, 0.1), (0.99, 0.05), (0.95, 0.07), (0.999, 0.001), (0.3, 0.1))
"""Confidence, and the fraction of false segments that is to be noticed with it."""

DRAWS: Final = (
    (1, b"", RandomSegments()),
    (30, b"nonce", RandomSegments()),
    (200, b"nonce", RandomSegments()),
    (200, b"nonce2", RandomSegments()),
    (200, b"nonce", RandomSegments(confidence=0.5, fraction=0.05)),
    (10**6, pattern(16), RandomSegments(confidence=0.9, fraction=0.1)),
)
STEP_DRAWS: Final = (
    (1, b"n", RandomSteps()),
    (24, b"nonce", RandomSteps(0.5, 0.25)),
    (1000, b"nonce", RandomSteps()),
)


def vectors() -> Vector:
    """Make sample sizes, draws at random, draws that rank updates, and draws of steps."""
    return {"needed": needed(), "draws": draws(), "ranked": ranked(), "steps": steps()}


def needed() -> list[Vector]:
    """Make sample sizes."""
    return [
        {
            "segments": segments,
            "confidence": confidence,
            "fraction": fraction,
            "false": false_segments(segments, fraction),
            "drawn": segments_needed(segments, confidence, fraction),
        }
        for segments in (1, 2, 3, 10, 20, 100, 1000, 10**6)
        for confidence, fraction in SHARES
    ]


def draws() -> list[Vector]:
    """Make draws of segments at random."""
    return [
        {
            "format": version,
            "claim": CLAIM.hex(),
            "nonce": nonce.hex(),
            "policy": encode(policy).decode(),
            "segments": segments,
            "drawn": draw(policy, segments, CLAIM, nonce, version=version),
        }
        for version in VERSIONS
        for segments, nonce, policy in DRAWS
    ]


def steps() -> list[Vector]:
    """Make draws of steps, which openings answer."""
    return [
        {
            "format": version,
            "claim": CLAIM.hex(),
            "nonce": nonce.hex(),
            "policy": encode(policy).decode(),
            "steps": steps,
            "drawn": draw_steps(policy, steps, CLAIM, nonce, version),
        }
        for version in VERSIONS
        for steps, nonce, policy in STEP_DRAWS
    ]


def ranked() -> list[Vector]:
    """Make draws that rank updates: ties, what is no number, epochs of their own, checkpoints that are missing."""
    nan, inf = math.nan, math.inf
    plain = [0.5, 2.0, nan, 2.0, 3.0, 2.0, inf, nan, 0.25, 0.25, 0.0, 1e-300]
    epochs = [Stretch(range(at, at + 1), at // 5, size) for at, size in enumerate(plain)]
    small = [Stretch(range(at, at + 1), at // 10, 1 + at % 7 / 8) for at in range(40)]
    thinned = [(0, 3, 0, 1.0), (3, 4, 0, 2.0), (4, 8, 0, 2.0), (8, 9, 2, 0.0), (9, 12, 2, nan)]
    stretches = [Stretch(range(start, stop), epoch, size) for start, stop, epoch, size in thinned]
    cases: list[tuple[list[Stretch], TopSegments | JointSegments]] = [
        (epochs, TopSegments(1)),
        (epochs, TopSegments(2)),
        (epochs, TopSegments(3, "linf")),
        (epochs, TopSegments(2**53 - 1, "cosine")),
        (stretches, TopSegments(1)),
        (stretches, TopSegments(2, "l1")),
        (small, TopSegments(1)),
        (small, JointSegments(1, confidence=0.5, fraction=0.1)),
        (small, JointSegments(2, "cosine", confidence=0.9, fraction=0.1)),
        (epochs, JointSegments(1, confidence=0.5, fraction=0.25)),
        (stretches, JointSegments(1, "l1", confidence=0.3, fraction=0.1)),
    ]
    return [
        {
            "format": version,
            "claim": CLAIM.hex(),
            "nonce": b"nonce".hex(),
            "policy": encode(policy).decode(),
            "segments": each[-1].segments.stop,
            "stretches": [[x.segments.start, x.segments.stop, x.epoch, number(x.magnitude)] for x in each],
            "drawn": draw(policy, each[-1].segments.stop, CLAIM, b"nonce", each, version),
        }
        for version in VERSIONS
        for each, policy in cases
    ]

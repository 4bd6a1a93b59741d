"""What the replays that were made cover, and how surely a draw like this one meets a false segment."""

from __future__ import annotations

from collections.abc import Sequence

from pol_jax.challenge import JointSegments, Policy, RandomSegments, by_chance
from pol_jax.ledger import Segments
from pol_jax.replay import Replayed
from pol_jax.report import Coverage
from pol_jax.route import Piece
from pol_jax.sampling import detection_probability, false_segments


def covered(policy: Policy, pieces: Sequence[Piece], replays: Sequence[Replayed], segments: Segments) -> Coverage:
    """What was covered; segments on the way to a challenged one count as steps, and detect nothing by the draw.

    Args:
        policy: the verifier's.
        pieces: what was to be replayed.
        replays: of the first of ``pieces``; a segment that none of them reached is not covered.
        segments: of the proof.
    """
    fraction = policy.fraction if isinstance(policy, RandomSegments | JointSegments) else RandomSegments().fraction
    reached = [
        segment
        for piece, replayed in zip(pieces, replays, strict=False)
        for segment in piece.segments
        if segments.bounds(segment)[0] < replayed.last
    ]
    chance = by_chance(policy, len(segments), len(reached))
    false = false_segments(len(segments), fraction)
    return Coverage(
        segments=len(segments),
        replayed=tuple(reached),
        steps=segments.steps,
        steps_replayed=sum(replayed.last - replayed.start for replayed in replays),
        fraction=fraction,
        detection=detection_probability(len(segments), false, chance) if chance else 0.0,
    )

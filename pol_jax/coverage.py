"""What the replays that were made cover, and how surely a draw like this one meets a false segment."""

from __future__ import annotations

from collections.abc import Sequence

from pol_jax.challenge import JointSegments, Policy, RandomSegments, RandomSteps, StepPolicy, by_chance
from pol_jax.ledger import Segments
from pol_jax.opening import Span
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
        unit="segment",
        segments=len(segments),
        replayed=tuple(reached),
        steps=segments.steps,
        steps_replayed=sum(replayed.last - replayed.start for replayed in replays),
        fraction=fraction,
        detection=detection_probability(len(segments), false, chance) if chance else 0.0,
    )


def covered_steps(policy: StepPolicy, wanted: Sequence[Span], replays: Sequence[Replayed], steps: int) -> Coverage:
    """What was covered of an opening.

    Args:
        policy: the verifier's.
        wanted: the spans of the challenged steps.
        replays: of the first of ``wanted``.
        steps: T.
    """
    fraction = policy.fraction if isinstance(policy, RandomSteps) else RandomSteps().fraction
    pairs = zip(wanted, replays, strict=False)
    reached = [step for span, replayed in pairs for step in span.steps if step <= replayed.last]
    chance = by_chance(policy, steps, len(replays))
    return Coverage(
        unit="step",
        segments=steps,
        replayed=tuple(reached),
        steps=steps,
        steps_replayed=len(reached),
        fraction=fraction,
        detection=detection_probability(steps, false_segments(steps, fraction), chance) if chance else 0.0,
    )

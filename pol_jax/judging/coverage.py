"""What the replays that were made cover, and how surely a draw like this one meets a false segment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pol_jax.judging.replayed import Replayed
from pol_jax.protocol.challenge import JointSegments, Policy, RandomSegments, RandomSteps, StepPolicy, by_chance
from pol_jax.protocol.sampling import detection_probability, false_segments
from pol_jax.protocol.spans import Piece, Segments, Span
from pol_jax.reports.report import Compared, Coverage, Outcome


def covered(
    policy: Policy,
    pieces: Sequence[Piece],
    replays: Sequence[Replayed],
    segments: Segments,
    compared: Sequence[Compared] = (),
) -> Coverage:
    """What was covered; segments on the way to a challenged one count as steps, and detect nothing by the draw.

    Args:
        policy: the verifier's.
        pieces: what was to be replayed, with all challenged segments.
        replays: of the first of ``pieces``; a segment that none of them reached is not covered.
        segments: of the proof.
        compared: what was compared within a tolerance, where bits could say nothing; what that left undecided, or the
            bits, is not covered.
    """
    fraction = policy.fraction if isinstance(policy, RandomSegments | JointSegments) else RandomSegments().fraction
    pairs = zip(pieces, replays, strict=False)
    last = {piece: replayed.last - bool(compared and not replayed.exact) for piece, replayed in pairs}
    decided = [each for each in compared if each.outcome is not Outcome.INCONCLUSIVE and each.start >= 0]
    closely = {segment for each in decided for segment in each.segments}
    reached = []
    for piece in pieces:
        for segment in piece.segments:
            start, stop = segments.bounds(segment)
            if segment in closely or last.get(piece, 0) >= (stop if compared else start + 1):
                reached.append(segment)
    chance = by_chance(policy, len(segments), len(reached))
    false = false_segments(len(segments), fraction)
    return Coverage(
        unit="segment",
        segments=len(segments),
        replayed=tuple(reached),
        steps=segments.steps,
        steps_replayed=_steps([*map(_span, decided), *(Span(piece.start, stop) for piece, stop in last.items())]),
        fraction=fraction,
        detection=detection_probability(len(segments), false, chance) if chance else 0.0,
    )


def came_out_of(pieces: Sequence[Piece], replays: Sequence[Replayed], compared: Sequence[Compared]) -> list[Span]:
    """The runs of steps that came out: bit for bit, or within the tolerance."""
    pairs = zip(pieces, replays, strict=False)
    exact = [Span(piece.start, replayed.last - (not replayed.exact)) for piece, replayed in pairs]
    return [*exact, *(_span(each) for each in compared if each.passed and each.start >= 0)]


def _span(compared: Compared) -> Span:
    return Span(compared.start, compared.stop)


def _steps(spans: Iterable[Span]) -> int:
    """How many steps lie in any of these."""
    count, seen = 0, 0
    for span in sorted(spans):
        count += max(0, span.stop - max(span.start, seen))
        seen = max(seen, span.stop)
    return count


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

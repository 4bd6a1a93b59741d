"""What a verification covers, and how surely it meets a false segment."""

from __future__ import annotations

from pol_jax.judging.coverage import covered_segments
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.challenge import by_chance
from pol_jax.protocol.policies import JointSegments, ListedSegments, RandomSegments, TopSegments
from pol_jax.protocol.sampling import detection_probability
from pol_jax.protocol.spans import Route, Segments, Span, routes


def test_coverage_is_of_what_was_replayed() -> None:
    """A draw that was not replayed, or not to its end, covers nothing of the rest."""
    segments, random = Segments(14, 6), RandomSegments()
    pieces = routes([Span(0, 6), Span(6, 12), Span(12, 14)], [0, 6, 12, 14])
    none = covered_segments(random, pieces, [], segments)
    assert (none.replayed, none.steps_replayed, none.detection) == ((), 0, 0.0)
    part = covered_segments(random, pieces, [ReplayResult(Span(0, 6)), ReplayResult(Span(6, 12), 9)], segments)
    assert (part.replayed, part.steps_replayed) == ((0, 1), 9)
    assert 0 < part.detection < 1
    assert (
        covered_segments(
            ListedSegments((0, 1)), pieces[:2], [ReplayResult(Span(0, 6)), ReplayResult(Span(6, 12))], segments
        ).detection
        == 0
    )
    whole = [ReplayResult(piece.span) for piece in pieces]
    assert covered_segments(random, pieces, whole, segments).detection == 1


def test_coverage_of_segments_on_the_way() -> None:
    """They count as steps; what was challenged and not reached counts as nothing."""
    segments, random, piece = Segments(14, 6), RandomSegments(), Route(Span(0, 14), (Span(6, 12), Span(12, 14)))
    whole = covered_segments(random, [piece], [ReplayResult(Span(0, 14))], segments)
    assert (whole.replayed, whole.steps_replayed) == ((1, 2), 14)
    assert 0 < whole.detection < 1
    for mismatch, reached in ((6, ()), (7, (1,)), (12, (1,)), (13, (1, 2))):
        part = covered_segments(random, [piece], [ReplayResult(Span(0, 14), mismatch)], segments)
        assert (part.replayed, part.steps_replayed) == (reached, mismatch)
        assert (part.detection > 0) == bool(reached)


def test_detection_is_that_of_the_random_part() -> None:
    segments = Segments(600, 6)
    pieces = routes(map(segments.span, range(65)), range(0, 601, 6))
    replayed = [ReplayResult(piece.span) for piece in pieces]
    joint = covered_segments(JointSegments(9, fraction=0.1), pieces, replayed, segments)
    count = by_chance(JointSegments(9, fraction=0.1), 100, 65)
    assert (joint.fraction, joint.detection) == (0.1, detection_probability(100, 10, count))
    assert 0.99 <= joint.detection < detection_probability(100, 10, 65)
    assert covered_segments(TopSegments(9), pieces, replayed, segments).detection == 0.0

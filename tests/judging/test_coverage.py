"""What a verification covers, and how surely it meets a false segment."""

from __future__ import annotations

from pol_jax.judging.coverage import covered
from pol_jax.judging.replayed import Replayed
from pol_jax.protocol.challenge import JointSegments, ListedSegments, RandomSegments, TopSegments, by_chance
from pol_jax.protocol.sampling import detection_probability
from pol_jax.protocol.spans import Piece, Segments


def test_coverage_is_of_what_was_replayed():
    """A draw that was not replayed, or not to its end, covers nothing of the rest."""
    segments, random = Segments(14, 6), RandomSegments()
    pieces = [Piece(0, 6, (0,)), Piece(6, 12, (1,)), Piece(12, 14, (2,))]
    none = covered(random, pieces, [], segments)
    assert (none.replayed, none.steps_replayed, none.detection) == ((), 0, 0.0)
    part = covered(random, pieces, [Replayed(0, 6), Replayed(6, 12, 9)], segments)
    assert (part.replayed, part.steps_replayed) == ((0, 1), 9)
    assert 0 < part.detection < 1
    assert covered(ListedSegments((0, 1)), pieces[:2], [Replayed(0, 6), Replayed(6, 12)], segments).detection == 0
    whole = [Replayed(0, 6), Replayed(6, 12), Replayed(12, 14)]
    assert covered(random, pieces, whole, segments).detection == 1


def test_coverage_of_segments_on_the_way():
    """They count as steps; what was challenged and not reached counts as nothing."""
    segments, random, piece = Segments(14, 6), RandomSegments(), Piece(0, 14, (1, 2))
    whole = covered(random, [piece], [Replayed(0, 14)], segments)
    assert (whole.replayed, whole.steps_replayed) == ((1, 2), 14)
    assert 0 < whole.detection < 1
    for mismatch, reached in ((6, ()), (7, (1,)), (12, (1,)), (13, (1, 2))):
        part = covered(random, [piece], [Replayed(0, 14, mismatch)], segments)
        assert (part.replayed, part.steps_replayed) == (reached, mismatch)
        assert (part.detection > 0) == bool(reached)


def test_detection_is_that_of_the_random_part() -> None:
    segments = Segments(600, 6)
    pieces = [Piece(*segments.bounds(at), (at,)) for at in range(65)]
    replayed = [Replayed(6 * at, 6 * at + 6) for at in range(65)]
    joint = covered(JointSegments(9, fraction=0.1), pieces, replayed, segments)
    count = by_chance(JointSegments(9, fraction=0.1), 100, 65)
    assert (joint.fraction, joint.detection) == (0.1, detection_probability(100, 10, count))
    assert 0.99 <= joint.detection < detection_probability(100, 10, 65)
    assert covered(TopSegments(9), pieces, replayed, segments).detection == 0.0

"""Segments of a run, spans between state digests, and routes from checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import law

from pol_jax.protocol.commitment import Schedule
from pol_jax.protocol.spans import Piece, Segments, Span, route, spans


def test_full_proof_is_replayed_segment_by_segment() -> None:
    assert route([0, 2], Segments(14, 6), [0, 6, 12, 14]) == [Piece(0, 6, (0,)), Piece(12, 14, (2,))]


@given(steps=st.integers(1, 200), interval=st.integers(1, 20), data=st.data())
def test_route_reaches_each_challenged_segment_once(steps: int, interval: int, data: st.DataObject) -> None:
    segments = Segments(steps, interval)
    kept = data.draw(st.sets(st.sampled_from(range(0, steps, interval))))
    checkpoints = sorted({0, steps, *kept})
    drawn = sorted(data.draw(st.sets(st.sampled_from(range(len(segments))), min_size=1)))
    pieces = route(drawn, segments, checkpoints)
    assert [segment for piece in pieces for segment in piece.segments] == drawn
    assert all(before.stop <= after.start for before, after in pairwise(pieces))
    for piece in pieces:
        assert piece.start in checkpoints
        assert piece.stop == segments.bounds(piece.segments[-1])[1]
        assert nearest(checkpoints, segments, piece.segments) == {piece.start}


def nearest(checkpoints: Sequence[int], segments: Segments, chosen: Sequence[int]) -> set[int]:
    return {max(step for step in checkpoints if step <= segments.bounds(segment)[0]) for segment in chosen}


@law(15)
@given(st.integers(1, 40), st.integers(1, 9))
def test_segments_hold_every_row_once(steps, interval):
    segments = Segments(steps, interval)
    rows = [step for segment in range(len(segments)) for step in segments.rows(segment)]
    assert rows == list(range(steps + 1))
    assert all(step in segments.rows(segments.of_step(step)) for step in rows)
    assert all(segments.rows(at)[-1] == segments.bounds(at)[1] for at in range(len(segments)))


def test_spans_end_where_the_ledger_has_digests() -> None:
    schedule = Schedule(
        batch_size=1, interval=10, witness_interval=4, order="feistel-splitmix64-8", prng="threefry2x32"
    )
    found = spans(schedule, (1, 3, 4, 5, 9, 10, 11, 13), 13)
    assert found == [Span(0, 4), Span(4, 8), Span(8, 10), Span(10, 12), Span(12, 13)]
    assert np.array_equal([step for span in found for step in span.steps], np.arange(1, 14))

"""Segments of a run, spans between state digests, and routes from checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import law

from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Schedule
from pol_jax.protocol.spans import Route, Segments, Span, routes, witnessed_spans


def test_there_is_no_route_without_a_checkpoint_before_the_target() -> None:
    with pytest.raises(UsageError, match="step 4: no checkpoint before it"):
        routes([Span(3, 4)], [6, 12])


def test_full_proof_is_replayed_segment_by_segment() -> None:
    first, last = Span(0, 6), Span(12, 14)
    assert [Segments(14, 6).span(segment) for segment in (0, 2)] == [first, last]
    assert routes([first, last], [0, 6, 12, 14]) == [Route(first, (first,)), Route(last, (last,))]


@given(steps=st.integers(1, 200), interval=st.integers(1, 20), data=st.data())
def test_route_reaches_each_challenged_segment_once(steps: int, interval: int, data: st.DataObject) -> None:
    segments = Segments(steps, interval)
    kept = data.draw(st.sets(st.sampled_from(range(0, steps, interval))))
    checkpoints = sorted({0, steps, *kept})
    drawn = sorted(data.draw(st.sets(st.sampled_from(range(len(segments))), min_size=1)))
    found = routes(map(segments.span, drawn), checkpoints)
    assert [segments.of_step(target.stop) for route in found for target in route.targets] == drawn
    assert [target for route in found for target in route.targets] == [segments.span(segment) for segment in drawn]
    assert all(before.span.stop <= after.span.start for before, after in pairwise(found))
    for route in found:
        assert route.span.start in checkpoints
        assert route.span.stop == route.targets[-1].stop
        assert nearest(checkpoints, route.targets) == {route.span.start}


def nearest(checkpoints: Sequence[int], targets: Sequence[Span]) -> set[int]:
    return {max(step for step in checkpoints if step <= target.start) for target in targets}


@law(15)
@given(st.integers(1, 40), st.integers(1, 9))
def test_segments_hold_every_row_once(steps: int, interval: int) -> None:
    segments = Segments(steps, interval)
    rows = [step for segment in range(len(segments)) for step in segments.rows(segment)]
    assert rows == list(range(steps + 1))
    assert all(step in segments.rows(segments.of_step(step)) for step in rows)
    assert all(segments.rows(at)[-1] == segments.span(at).stop for at in range(len(segments)))


def test_spans_end_where_the_ledger_has_digests() -> None:
    schedule = Schedule(
        batch_size=1,
        interval=10,
        witness_interval=4,
        order="feistel-splitmix64-8",
        prng="threefry2x32",
        steps=13,
        may_stop_early=False,
    )
    found = witnessed_spans(schedule, (1, 3, 4, 5, 9, 10, 11, 13), 13)
    assert found == [Span(0, 4), Span(4, 8), Span(8, 10), Span(10, 12), Span(12, 13)]
    assert np.array_equal([step for span in found for step in span.steps], np.arange(1, 14))

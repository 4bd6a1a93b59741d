"""What a replay found, for the route that it went and for each target on its way."""

from __future__ import annotations

from pol_jax.judging.replay_result import ReplayResult, replay_of
from pol_jax.protocol.spans import Span
from pol_jax.reports.coverage import Replay

EXACT, DIFFERENT = ReplayResult(Span(0, 12)), ReplayResult(Span(0, 12), 8, ("loss",), b"row")


def test_a_replay_ends_with_its_span_or_with_the_first_difference() -> None:
    assert (EXACT.exact, EXACT.last) == (True, 12)
    assert (DIFFERENT.exact, DIFFERENT.last) == (False, 8)
    assert not ReplayResult(Span(-1, 6), 0).exact


def test_a_target_is_exact_only_before_the_first_difference() -> None:
    assert EXACT.for_target(Span(6, 12)) == ReplayResult(Span(6, 12))
    assert DIFFERENT.for_target(Span(0, 7)) == ReplayResult(Span(0, 7))
    for target in (Span(0, 8), Span(6, 9), Span(9, 12)):
        assert DIFFERENT.for_target(target) is DIFFERENT


def test_a_report_shows_where_a_replay_differs() -> None:
    assert replay_of(2, EXACT) == Replay(2, 0, 12, None, ())
    assert replay_of(3, DIFFERENT) == Replay(3, 0, 12, 8, ("loss",))

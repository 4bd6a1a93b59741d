"""Stage 9 decides which steps are replayed, which twice, and which are compared as numbers: over made-up replays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest
from example_reports import compared

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.judging.verdict import Evidence
from pol_jax.protocol.claim import INITIAL
from pol_jax.protocol.spans import Route, Segments, Span, routes
from pol_jax.reports.outcomes import Outcome
from pol_jax.verifying.challenged_segments import (
    ends_bit_for_bit,
    replay_segments,
    reproduced_spans,
    require_states_on_the_way,
    self_test_of,
)
from pol_jax.verifying.replay import Replayer

SEGMENTS = Segments(24, 6)
SPANS = [SEGMENTS.span(at) for at in range(4)]
ROUTES = routes(SPANS, range(0, 25, 6))


class Told(Replayer):
    """It finds differences at some steps, each time that it gets there, and keeps what it was asked for."""

    def __init__(self, *wrong: int, steady: bool = True) -> None:
        self.wrong, self.steady, self.asked = wrong, steady, list[Span]()

    def initial_is_exact(self) -> bool:
        """Find the initial state exact."""
        return True

    def self_test(self, span: Span) -> ReplayResult:
        """Replay a span."""
        return self._found(span)

    def replay(self, spans: Iterable[Span]) -> Iterator[ReplayResult]:
        """Replay spans."""
        for span in spans:
            self.asked.append(span)
            yield self._found(span)

    def replay_states(self, span: Span) -> ReplayResult:
        """Replay a span."""
        return self._found(span)

    def _found(self, span: Span) -> ReplayResult:
        steps = [step for step in self.wrong if step in span.steps]
        got = b"" if self.steady else bytes([len(self.asked)])
        return ReplayResult(span, steps[0], ("loss",), got) if steps else ReplayResult(span)


def replayed(
    replayer: Told, *elsewhere: Span, chosen: Sequence[Route] = ROUTES, exact_arithmetic: bool = False
) -> tuple[Evidence, list[Span]]:
    """What replays show, where some steps were made in another environment; and the routes, in their order."""

    def differences(spans: Iterable[Span]) -> list[str]:
        asked = [span for span in spans if span != INITIAL]
        return [f"{span.stop} was made elsewhere" for span in asked if span in elsewhere]

    evidence, _, ordered = replay_segments(replayer, chosen, SEGMENTS, differences, exact_arithmetic=exact_arithmetic)
    return evidence, [route.span for route in ordered]


@pytest.mark.parametrize(("steps", "interval", "stop"), [(24, 6, 6), (24, 24, 10), (3, 6, 3)])
def test_the_self_test_is_short_and_within_the_first_segment(steps: int, interval: int, stop: int) -> None:
    assert self_test_of(Segments(steps, interval)) == Span(0, stop)


def test_what_differs_nowhere_is_replayed_once() -> None:
    replayer = Told()
    evidence, ordered = replayed(replayer)
    assert replayer.asked == ordered == SPANS
    assert evidence == Evidence([], True, ReplayResult(Span(0, 6)), [ReplayResult(span) for span in SPANS], True)


@pytest.mark.parametrize("steady", [True, False])
def test_the_difference_that_decides_is_replayed_again(steady: bool) -> None:
    replayer = Told(9, 15, steady=steady)
    evidence, _ = replayed(replayer)
    assert replayer.asked == [*SPANS, SPANS[1]]
    assert [result.mismatch for result in evidence.segments] == [None, 9, 15, None]
    assert evidence.repeatable is steady


def test_a_self_test_that_fails_elsewhere_saves_the_replay_of_what_was_made_there() -> None:
    """What was made on this very machine is replayed all the same, and comes first."""
    replayer = Told(3)
    evidence, ordered = replayed(replayer, Span(0, 6), SPANS[1])
    assert ordered == [*SPANS[2:], *SPANS[:2]]
    assert replayer.asked[:2] == SPANS[2:]
    assert SPANS[1] not in replayer.asked
    assert [result.span for result in evidence.segments] == SPANS[2:]
    here = Told(3)
    assert replayed(here)[1] == SPANS
    assert here.asked[:4] == SPANS


def test_targets_on_one_route_have_results_of_their_own() -> None:
    evidence, _ = replayed(Told(9), chosen=[Route(Span(0, 18), (SPANS[0], SPANS[1], SPANS[2]))])
    assert [result.mismatch for result in evidence.segments] == [None, 9, 9]


def test_the_way_to_the_next_checkpoint_was_not_reproduced() -> None:
    assert reproduced_spans([SPANS[1]], [0, 24]) == [Span(0, 12)]
    assert reproduced_spans([SPANS[0], SPANS[2]], [0, 6, 24]) == [Span(0, 6), Span(6, 18)]
    assert reproduced_spans([], [0, 24]) == []


def test_steps_end_bit_for_bit_if_they_pass_without_an_error() -> None:
    assert ends_bit_for_bit(compared(6, 0.0))
    assert not ends_bit_for_bit(compared(6, 1e-9))
    assert not ends_bit_for_bit(compared(6, None))
    assert not ends_bit_for_bit(compared(6, 0.0, Outcome.INCONCLUSIVE))
    assert not ends_bit_for_bit(compared(0, 0.0, start=-1))


def test_an_end_without_the_states_on_the_way_is_left_open() -> None:
    """Rounding does not come and go."""
    some = [compared(6, 0.0, start=0), compared(12, 0.0, start=6), compared(18, 1e-6, start=12)]
    first, second, third = require_states_on_the_way(Told(9, 15), some)
    assert (first, third) == (some[0], some[2])
    assert second.outcome is Outcome.INCONCLUSIVE
    assert second.reasons == ("its last state is reproduced bit for bit, but the state after step 9 is not",)

"""Opened steps are replayed from their opened states, and an initial state from its key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from forge import claim_of
from opened_steps import STEPS

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.progress import Silent
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.spans import Span
from pol_jax.verifying.opening_checks import Opened, check_opening
from pol_jax.verifying.opening_replay import initial_is_exact, replay_here, replay_spans

SPANS = [Span(step - 1, step) for step in STEPS]


@pytest.fixture(scope="module")
def opened(opening: Opening, plain_proof: Path) -> Opened:
    return check_opening(opening, claim_of(plain_proof), SPANS, Limits())


def test_each_span_is_replayed_from_its_own_state(opened: Opened, plain_proof: Path) -> None:
    found = replay_spans(opened, SPANS, Silent())
    assert found == [ReplayResult(span) for span in SPANS]
    assert replay_here(opened, claim_of(plain_proof), SPANS[1:2], Silent()) == found[1:2]


def test_a_false_row_ends_its_span_and_no_other(opened: Opened) -> None:
    first, second, third = STEPS
    rows = dict(opened.rows) | {second: replace(opened.rows[second], state=bytes(32))}
    found = replay_spans(replace(opened, rows=rows), SPANS, Silent())
    assert [result.mismatch for result in found] == [None, second, None]
    assert found[1].fields == ("state_digest",)
    assert first < second < third


def test_an_initial_state_is_that_of_the_key_or_was_not_opened(opened: Opened) -> None:
    assert initial_is_exact(opened) is True
    other_rows = dict(opened.rows) | {0: replace(opened.rows[0], state=bytes(32))}
    assert initial_is_exact(replace(opened, rows=other_rows)) is False
    without = {step: state for step, state in opened.states.items() if step}
    assert initial_is_exact(replace(opened, states=without)) is None

"""One comparison: its shares of the update, what passes in it, and which of several is the worst."""

from __future__ import annotations

import math

import msgspec
import pytest
from example_reports import compared

from pol_jax.protocol.spans import Span
from pol_jax.reports.comparison import UsedDecisions
from pol_jax.reports.outcomes import Outcome

PASSED = compared(7, 1e-6)
USED = UsedDecisions(given=4, used=2, farthest=0.5, choices=1.0, unused=None)


def test_no_step_leads_to_the_initial_state() -> None:
    assert (PASSED.span, PASSED.is_initial) == (Span(6, 7), False)
    assert not compared(1, 0.0).is_initial
    assert compared(0, 0.0, start=-1).is_initial


def test_only_one_outcome_is_a_pass() -> None:
    assert [compared(7, 0.0, outcome).passed for outcome in Outcome] == [True, False, False, False]


def test_what_is_allowed_is_the_smaller_bound_and_what_choices_could_move() -> None:
    tolerance, limit = PASSED.tolerance, PASSED.limit
    assert tolerance is not None
    assert limit is not None
    assert PASSED.allowed() == tolerance < limit
    assert msgspec.structs.replace(PASSED, tolerance=2 * limit).allowed() == limit
    chosen = msgspec.structs.replace(PASSED, decisions=USED)
    assert chosen.allowed() == tolerance + 1
    assert chosen.allowed(0.25) == tolerance + 0.25


@pytest.mark.parametrize("name", ["tolerance", "limit"])
def test_nothing_is_allowed_by_a_bound_that_is_not_finite(name: str) -> None:
    assert msgspec.structs.replace(PASSED, **{name: None}).allowed() is None
    boundless = msgspec.structs.replace(USED, choices=None)
    assert msgspec.structs.replace(PASSED, decisions=boundless).allowed() is None


def test_a_failure_is_worse_than_a_doubt_and_a_doubt_than_a_pass() -> None:
    ascending = [
        compared(1, 0.0),
        compared(1, 0.5),
        compared(1, None),
        compared(1, 1e-9, Outcome.INCONCLUSIVE),
        compared(1, 1e-3, Outcome.INCONCLUSIVE),
        compared(1, 0.0, Outcome.FAILED),
    ]
    assert sorted(reversed(ascending), key=lambda each: each.severity) == ascending


def test_a_share_of_no_update_is_infinite_unless_nothing_is_off() -> None:
    assert PASSED.relative(1 / 64) == 0.5
    assert PASSED.relative(None) == math.inf
    still, lost = (msgspec.structs.replace(PASSED, update=update) for update in (0.0, None))
    assert (still.relative(1e-9), still.relative(0.0), lost.relative(0.0)) == (math.inf, 0.0, math.inf)

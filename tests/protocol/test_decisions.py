"""The form of the decisions in an opening: what their types can't say is refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from pol_jax.errors import ProofError
from pol_jax.protocol.decisions import MAX_ENTRIES, SiteEntries, StepDecisions, check_decisions
from pol_jax.protocol.opening import Opening, parse_opening


def site(number: int = 0, indices: tuple[int, ...] = (1, 5), width: int = 4) -> SiteEntries:
    return SiteEntries(number, np.array(indices, "<u8").tobytes(), bytes(width * len(indices)))


def step(number: int = 1, *sites: SiteEntries) -> StepDecisions:
    return StepDecisions(number, sites or (site(),))


def test_good_ones_are_part_of_an_opening(opening: Opening) -> None:
    decisions = (step(11, site(0), site(7, (0, 2**48 - 1), 8)), step(12, site(3, width=2)))
    with_them = msgspec.structs.replace(opening, decisions=decisions)
    assert parse_opening(with_them.encode(), "it") == with_them


MANY = tuple(range(MAX_ENTRIES // 2 + 1))


@pytest.mark.parametrize(
    ("decisions", "words"),
    [
        ((step(2), step(1)), "steps don't ascend"),
        ((step(2), step(2)), "steps don't ascend"),
        ((step(1, site(3), site(2)),), "sites don't ascend"),
        ((step(1, site(3), site(3)),), "sites don't ascend"),
        ((step(1, site(0, (5, 1))),), "indices don't ascend"),
        ((step(1, site(0, (5, 5))),), "indices don't ascend"),
        ((step(1, site(0, (2**48,))),), "out of bounds"),
        ((step(1, SiteEntries(0, bytes(9), bytes(8))),), "not of 8 bytes"),
        ((step(1, site(0, width=3)),), "not one value for each"),
        ((step(1, SiteEntries(0, bytes(8), bytes(16))),), "not one value for each"),
        ((step(1, site(0, MANY), site(1, MANY)),), "entries"),
    ],
)
def test_decisions_that_break_a_rule_of_form_are_refused(
    decisions: tuple[StepDecisions, ...], words: str, opening: Opening
) -> None:
    with pytest.raises(ProofError, match=words):
        check_decisions(decisions, "it")
    with pytest.raises(ProofError, match=words):
        parse_opening(msgspec.structs.replace(opening, decisions=decisions).encode(), "it")


@pytest.mark.parametrize("wrong", [StepDecisions(0, (site(),)), StepDecisions(1, ()), StepDecisions(2**32, (site(),))])
def test_numbers_of_decisions_beyond_their_bounds_are_refused(wrong: StepDecisions, opening: Opening) -> None:
    with pytest.raises(ProofError, match="is no opening"):
        parse_opening(msgspec.structs.replace(opening, decisions=(wrong,)).encode(), "it")

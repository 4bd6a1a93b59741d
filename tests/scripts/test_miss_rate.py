"""Challenges that meet a false step are rejections, all others acceptances, as often as is announced."""

from __future__ import annotations

from itertools import count
from math import comb
from pathlib import Path

import pytest
from federation import STEPS, site
from untrusted.miss_rate import announced, claim_of, drawn, false_steps, falsify, meets, verified

SHARE, STATES = 0.5, [3]
"""Two of eight steps are drawn, beside the ends; two are false."""


def test_what_is_verified_and_what_is_drawn_agree_with_what_is_announced(tmp_path: Path) -> None:
    worker = site(0, tmp_path)
    answer = falsify(worker, STATES)
    assert false_steps(STATES) == {3, 4}
    expected = announced(worker, SHARE, STATES)
    assert expected == pytest.approx(comb(STEPS - 2, 2) / comb(STEPS, 2))
    low, high = drawn(answer, SHARE, STATES, 500).interval
    assert low < expected < high
    found = verified(worker, answer, SHARE, STATES, 4)  # which compares each verdict with its draw
    assert found.drawn == 4
    # Which draws meet a false step depends on the claim, and so on this machine: here one does.
    first = next(number for number in count() if meets(claim_of(answer), SHARE, STATES, number))
    with pytest.raises(AssertionError, match="rejected"):  # verdicts that are not those of the draws are told
        verified(worker, answer, SHARE, [], first + 1)

"""What was checked, in words."""

from __future__ import annotations

import msgspec
from example_reports import Reports

from pol_jax.protocol.policies import RandomSegments
from pol_jax.reports.html import render
from pol_jax.reports.outcomes import Verdict


def test_random_policy_is_told_in_words(reports: Reports) -> None:
    page = render(msgspec.structs.replace(reports["accepted"], policy=RandomSegments(), verdict=Verdict.ACCEPTED))
    assert "enough to meet a false one with 99% probability if 5% of all are false" in page
    assert "--confidence 0.99 --fraction 0.05" in page


def test_steps_that_say_nothing_are_not_called_false(reports: Reports) -> None:
    """Neither those whose comparison is inconclusive, nor, without one, those of an inconclusive verdict."""
    assert "replayed, can&#x27;t be judged here: 7" in render(reports["failed"])
    assert "replayed, differs: 1<" in render(reports["failed"])
    assert "replayed, can&#x27;t be judged here" not in render(reports["rejected"])
    assert "replayed, differs: 0<" in render(reports["inconclusive"])

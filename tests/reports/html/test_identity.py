"""What a reader asks first: each question stands once, with all its answers."""

from __future__ import annotations

import re

from example_reports import unfinished

from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.html.identity import identity
from pol_jax.reports.identity import Authorship, Model


def test_each_question_has_its_answers_but_what_was_not_checked() -> None:
    report = unfinished(
        policy=ListedSegments((0,)),
        coverage=Coverage("segment", 4, (0,), 24, 6, 0.05, 0.0),
        model=Model("0" * 64, None, None),
        authorship=Authorship(None, None, commitment_signed=False, pinned=None),
    )
    section = identity(report)
    assert re.findall("<dt>(.*?)</dt>", section) == ["Model", "By", "Replayed"]
    answers = re.findall("<dd>(.*?)</dd>", section)
    assert len(answers) == 3
    assert answers[1].startswith("anonymous: ")
    assert answers[2].startswith("replayed 1 of 4 segments")
    assert "not replayed" not in section


def test_a_verification_that_found_nothing_answers_nothing() -> None:
    assert re.findall("<d[td]>", identity(unfinished())) == []

"""Charts of losses and updates."""

from __future__ import annotations

import msgspec
from example_reports import Reports

from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.curves import Point
from pol_jax.reports.html import render


def test_runs_of_one_step_and_of_very_many(reports: Reports) -> None:
    one = Coverage("segment", 1, (0,), 1, 1, 0.05, 1.0)
    report = msgspec.structs.replace(reports["accepted"], coverage=one, curve=(Point(1, 1, 2.0),), updates=())
    assert "<circle" in render(report)
    many = Coverage("segment", 10**6, (5, 999_999), 10**7, 20, 0.05, 0.1)
    replays = (Replay(5, 50, 60, None, ()), Replay(999_999, 10**7 - 10, 10**7, 10**7, ("loss",)))
    policy = ListedSegments(tuple(range(10**5)))
    page = render(msgspec.structs.replace(report, coverage=many, replays=replays, policy=policy))
    assert "--segments 0-99999" in page
    assert len(page) < 50_000
    assert "not replayed: 999,998" in page

"""What a report says of replays is read from anybody's file: units and steps are those that there are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pol_jax.reports.coverage import Coverage, Replay

COVERAGE = Coverage("segment", 4, (1, 3), 24, 12, 0.05, 0.5)
REPLAY = Replay(1, 6, 12, None, ())


def test_what_was_replayed_survives_json() -> None:
    for value in (COVERAGE, REPLAY, Replay(1, 6, 12, 9, ("loss",))):
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (COVERAGE, {"unit": "epoch"}),
        (COVERAGE, {"replayed": [1, -3]}),
        (COVERAGE, {"steps_replayed": 2**53}),
        (REPLAY, {"mismatch": -1}),
        (REPLAY, {"start": 0.5}),
    ],
)
def test_other_units_and_steps_are_no_report(value: Coverage | Replay, wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(value) | wrong, type(value))

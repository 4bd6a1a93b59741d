"""The script on growth says how each cost grows, and draws it."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import scaling
from scales import records, states
from scales.measured import Measured


def quadratic(_quick: bool) -> Iterator[Measured]:
    for size in (10, 100, 1000):
        yield Measured("compare all with all", size, 0.25 * size**2)
        yield Measured("look at each", size, 1e-3 * size)


def test_growth_is_measured_told_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scaling, "PANELS", [scaling.Panel("pairs", "things", quadratic)] * 4)
    monkeypatch.setattr(sys, "argv", ["scaling.py", "--out", str(tmp_path)])
    scaling.main()
    told = capsys.readouterr().out.splitlines()
    assert told[1].endswith("250000.000 s at 1e+03; grows with exponent 2.00")
    assert told[2].endswith("grows with exponent 1.00")
    with (tmp_path / "scaling.csv").open() as file:
        table = list(csv.reader(file))
    assert table[:2] == [["panel", "what", "size", "seconds"], ["pairs", "compare all with all", "10", "25.0"]]
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


@pytest.mark.parametrize("measure", [records.measure, states.measure])
def test_small_sizes_are_measured(measure: object) -> None:
    assert callable(measure)
    found = list(measure(True))
    assert all(each.seconds >= 0 for each in found)
    assert len({each.size for each in found}) == 2

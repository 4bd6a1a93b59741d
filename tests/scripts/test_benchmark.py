"""The benchmark prints a table under the machine's name, and warns when the machine is busy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import benchmark
import machine
import pytest
from benchmarks.table import Line, ratios, seconds


def part(quick: bool, data_dir: Path | None) -> Iterator[Line]:
    yield Line("what was measured", "1.0", "1.1", f"quick: {quick}, data: {data_dir}")


def test_a_part_gives_lines_of_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(benchmark.PARTS, "start", part)
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--quick", "--only", "start"])
    benchmark.main()
    named, header, line = capsys.readouterr().out.splitlines()
    assert f"processor {machine.description()['processor']}" in named
    assert header.split() == ["median", "(min-max)", "at", "most"]
    assert line.split() == ["what", "was", "measured", "1.0", "1.1", "quick:", "True,", "data:", "None"]


@pytest.mark.parametrize(("load", "warns"), [(1.0, False), (1.1, True)])
def test_a_busy_machine_is_warned_of(
    load: float, warns: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    machine.warn_if_busy()
    assert ("the machine is busy: load 1.1 on 2 processors" in capsys.readouterr().err) == warns


def test_ratios_are_those_of_neighbours() -> None:
    assert ratios([2.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == "3.000 (2.000-4.000)"
    assert seconds([1.0, 2.0, 9.0]) == "2.0 s (1.0-9.0)"

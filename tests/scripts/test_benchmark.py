"""The benchmark prints a table under the machine's name, and warns when the machine is busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import benchmark
import machine
import pytest
from benchmarks import against
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


def test_the_benchmark_writes_json_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(benchmark.PARTS, "start", part)
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--json", "--only", "start"])
    benchmark.main()
    (line,) = json.loads(capsys.readouterr().out)
    assert Line(**line) == Line("what was measured", "1.0", "1.1", "quick: False, data: None")


def test_two_checkouts_are_measured_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio is that of the medians; a part that one of them can't measure is left out."""
    measured: list[str] = []

    def lines_of(package: Path, part: str, arguments: Sequence[str]) -> list[Line]:
        assert arguments == ["--quick"]
        place = "here" if package == against.ROOT else "there"
        measured.append(f"{part} {place}")
        if (part, place) == ("jobs", "there"):
            raise subprocess.CalledProcessError(1, "benchmark.py", stderr="Traceback\nImportError: no such name")
        return [Line("time", f"{3 if place == 'here' else 2}.0 s (1.0-9.0)"), Line("words", "none")]

    monkeypatch.setattr(against, "_lines_of", lines_of)
    monkeypatch.setattr(against, "_unpack", lambda revision, folder: None)
    found = list(against.compare("HEAD", ["start", "jobs"], ["--quick"], 2))
    assert measured == ["start there", "start here"] * 2 + ["jobs there"]
    assert [(line.what, line.value) for line in found] == [("time", "1.500"), ("words", "-"), ("jobs", "not measured")]
    assert found[2].note == "HEAD: ImportError: no such name"

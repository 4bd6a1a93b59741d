"""Results travel between machines; those of strangers are checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from measured_backends import shown
from msgspec.structs import replace

from pol_jax.backends import results as results_file
from pol_jax.backends.overview import lines
from pol_jax.backends.results import Results, merge, read_results, write_results
from pol_jax.errors import UsageError


def test_results_are_read_as_they_were_written(results: Results, tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results
    assert "interpreters" not in (tmp_path / "results.json").read_text(), "a path of this machine"


def test_results_of_machines_are_joined(results: Results, elsewhere: Results) -> None:
    parts = merge([results, elsewhere, results, replace(elsewhere, outcomes=elsewhere.outcomes[:1])])
    assert [part.machine for part in parts] == ["here", "a GPU host", "a GPU host #2"]
    found = lines(parts)
    assert [(line.machine, line.label, line.bits) for line in found] == [
        (1, "cpu [1]", "A"),
        (1, "cpu, no optimisation [1]", "B"),
        (2, "cuda [2]", "B"),
        (2, "cpu [2]", "B"),
        (3, "cuda [3]", "B"),
    ]
    text = shown(parts)
    assert "NVIDIA H100" in text
    assert "cpu [1], as it comes, gives the prover's bits" in text
    assert "cuda [2], as it comes, gives other bits than the prover" in text
    with pytest.raises(UsageError, match="results of two runs can't be compared"):
        merge([results, replace(elsewhere, claim="0" * 64)])


def _edited(results: Results, edit: Callable[[dict[str, Any]], None]) -> bytes:
    plain = msgspec.to_builtins(results)
    edit(plain)
    return msgspec.json.encode(plain)


def _first(plain: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plain["outcomes"][0]["reproductions"][0]
    return found


HOSTILE: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown field": lambda plain: plain.update(more=1),
    "another format": lambda plain: plain.update(format="pol-jax-backends/2"),
    "negative distance": lambda plain: _first(plain)["total"].update(l2=-1.0),
    "text for a number": lambda plain: _first(plain)["total"].update(l2="0"),
    "equal at a distance": lambda plain: _first(plain)["total"].update(l2=1.0),
    "exact but not equal": lambda plain: _first(plain)["total"].update(equal=False),
    "backwards": lambda plain: _first(plain).update(start=9),
    "huge step": lambda plain: _first(plain).update(stop=2**40),
    "no digest": lambda plain: _first(plain).update(digest="zz"),
    "control characters in a name": lambda plain: plain["outcomes"][0]["backend"].update(name="\x1b[2J"),
    "failed, and yet measured": lambda plain: plain["outcomes"][0].update(status="crashed"),
    "ran, and nothing measured": lambda plain: plain["outcomes"][0].update(reproductions=[]),
    "segments alone": lambda plain: plain["outcomes"][0].update(
        reproductions=plain["outcomes"][0]["reproductions"][-3:]
    ),
    "an odd verdict": lambda plain: _first(plain).update(tolerance="accepted"),
    "no machine": lambda plain: plain.update(machine=""),
}


@pytest.mark.parametrize("edit", HOSTILE)
def test_hostile_results_are_refused_in_one_line(results: Results, edit: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(_edited(results, HOSTILE[edit]))
    with pytest.raises(UsageError, match="no results of pol backends") as refused:
        read_results(tmp_path / "results.json")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"1e999", b'{"a": 1, "a": 1}']
)
def test_what_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(UsageError, match="no results of pol backends"):
        read_results(tmp_path / "results.json")


def test_large_missing_and_odd_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file"):
        read_results(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="can't be read"):
        read_results(tmp_path)
    monkeypatch.setattr(results_file, "_MOST_BYTES", 10)
    (tmp_path / "large").write_bytes(b"{" + b" " * 10)
    with pytest.raises(UsageError, match="more than 10 bytes"):
        read_results(tmp_path / "large")

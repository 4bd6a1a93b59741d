"""Help fits any terminal."""

from __future__ import annotations

import pytest
from commands import pol

from pol_jax.cli.help_format import Formatter

ROWS = [("--name", "what it means in a few words"), ("-x", "no more")]


@pytest.mark.parametrize(("width", "lines"), [(60, 2), (20, 5)])
def test_a_meaning_stands_beside_its_name_where_there_is_room(width: int, lines: int) -> None:
    formatter = Formatter(width=width)
    formatter.write_dl(ROWS)
    found = formatter.getvalue().splitlines()
    assert len(found) >= lines
    assert all(len(line) <= width for line in found)
    assert found[0].startswith("--name  what") == (width == 60)
    assert " ".join(formatter.getvalue().split()) == "--name what it means in a few words -x no more"


@pytest.mark.parametrize(("columns", "width"), [("10", 20), ("40", 38), ("200", 78)])
def test_the_width_is_the_terminal_s_within_bounds(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert Formatter().width == width


@pytest.mark.parametrize("width", [20, 40, 80, 140])
@pytest.mark.parametrize("command", [(), ("train",), ("verify",)])
def test_help_fits_the_terminal(command: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = pol(*command, "--help").output.splitlines()
    longer = [line.strip() for line in lines if len(line) > width]
    assert all(" " not in line for line in longer), longer  # a word alone

"""The strip of a run: one cell for each segment, or for several the worst of them, and a count of each kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import pytest
from example_reports import Elements

from pol_jax.reports.coverage import Coverage
from pol_jax.reports.html.strip import CellResult, Place, strip

EXACT, CLOSE, OPEN, FALSE, OTHER = CellResult


def drawn(
    segments: int,
    places: Sequence[Place],
    states: Sequence[CellResult],
    unit: Literal["segment", "step"] = "segment",
) -> str:
    return strip(Coverage(unit, segments, (), 6 * segments, 0, 0.05, 0.0), places, states)


def cells(picture: str) -> list[tuple[str, float]]:
    """Kinds of the cells, and where they begin, in percent."""
    shapes = picture.partition('<ul class="legend"')[0]
    found = re.findall(r'<rect x="([\d.]+)%".*? class="(\w+)"', shapes)
    return [(kind, float(at)) for at, kind in found]


def test_each_segment_has_a_cell_and_each_kind_a_count() -> None:
    picture = drawn(4, [(0, 1), (2, 3)], [EXACT, FALSE])
    assert [kind for kind, _ in cells(picture)] == ["exact", "other", "false", "other"]
    assert [at for _, at in cells(picture)] == pytest.approx([1.5, 26.5, 51.5, 76.5])
    words = "1 replayed, bit for bit, 1 replayed, differs, 2 not replayed"
    assert f'aria-label="Of 4 segments: {words}."' in picture
    text = Elements(picture).text
    assert text.endswith("replayed, bit for bit: 1replayed, differs: 1not replayed: 2")
    assert "segment, from 0" in text


def test_kinds_that_are_rare_are_named_only_where_there_are_some() -> None:
    assert "within the tolerance" not in drawn(4, [(0, 1)], [EXACT])
    assert "replayed, within the tolerance: 1" in drawn(4, [(0, 1)], [CLOSE])
    assert "replayed, can&#x27;t be judged here: 3" in drawn(4, [(0, 3)], [OPEN])


def test_a_cell_of_several_segments_shows_the_worst() -> None:
    """Neighbours of one kind are drawn as one shape, where there is no room for gaps."""
    places = [(at, at + 1) for at in range(1000)]
    states = [FALSE if at == 500 else OPEN if at == 501 else EXACT for at in range(1000)]
    picture = drawn(1000, places, states)
    assert cells(picture) == [("exact", 0), ("false", 50), ("exact", 50.25)]
    assert "replayed, can&#x27;t be judged here: 1" in picture


def test_what_lies_outside_of_the_run_is_not_drawn() -> None:
    """A report may be read from anybody's file."""
    picture = drawn(4, [(3, 5), (7, 8), (2, 2)], [FALSE, FALSE, FALSE])
    assert [kind for kind, _ in cells(picture)] == ["other"] * 4


def test_steps_count_from_one() -> None:
    picture = drawn(3, [(2, 3)], [EXACT], "step")
    assert re.findall(r"<text[^>]*>([^<]*)</text>", picture) == ["1", "2", "3"]
    assert "step, from 1" in picture

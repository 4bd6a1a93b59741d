"""The strip shows which segments of a run were replayed, and with which result, by shape and not only by colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby

from pol_jax.reports.coverage import Coverage
from pol_jax.reports.html.axis import Axis, labels, number
from pol_jax.reports.html.markup import Markup, tag, together

_MOST_CELLS = 400
"""A strip has at most this many cells. If there are more segments, a cell shows the worst of several."""

Place = tuple[int, int]
"""A place is the first segment or step of a range, counted from 0, and the one after its last."""

_FIRST = {"segment": 0, "step": 1}


class CellResult(StrEnum):
    """A cell result is that of replaying a segment, or a step of an opening, as its cell shows it."""

    EXACT = "exact"
    CLOSE = "close"
    OPEN = "open"
    FALSE = "false"
    OTHER = "other"


_WORST = (CellResult.OTHER, CellResult.EXACT, CellResult.CLOSE, CellResult.OPEN, CellResult.FALSE)
_TOP = {CellResult.OTHER: 20, CellResult.EXACT: 10, CellResult.CLOSE: 14, CellResult.OPEN: 5, CellResult.FALSE: 0}
_BOTTOM = {CellResult.OTHER: 24, CellResult.EXACT: 34, CellResult.CLOSE: 30, CellResult.OPEN: 34, CellResult.FALSE: 34}
"""A cell begins and ends here, in pixels: the worse the result, the taller the cell."""

_WORDS = {
    CellResult.EXACT: "replayed, bit for bit",
    CellResult.CLOSE: "replayed, within the tolerance",
    CellResult.OPEN: "replayed, can't be judged here",
    CellResult.FALSE: "replayed, differs",
    CellResult.OTHER: "not replayed",
}
_ALWAYS = (CellResult.EXACT, CellResult.FALSE, CellResult.OTHER)


def strip(coverage: Coverage, places: Sequence[Place], states: Sequence[CellResult]) -> Markup:
    """Return the strip with its axis and legend.

    Args:
        coverage: how many segments there are, and whether they are segments or steps.
        places: what was replayed or compared, none twice.
        states: the result for each place.
    """
    unit, segments, first = coverage.unit, coverage.segments, _FIRST[coverage.unit]
    counts = dict.fromkeys(CellResult, 0)
    for (start, stop), state in zip(places, states, strict=True):
        counts[state] += stop - start
    counts[CellResult.OTHER] = max(0, segments - sum(counts.values()))
    words = {each: _WORDS[each] for each in CellResult if each in _ALWAYS or counts[each]}
    description = ", ".join(f"{counts[each]:,} {words[each]}" for each in words)
    picture = tag(
        "svg",
        tag("title", f"{unit.capitalize()}s of the run"),
        *_cells(_worst(segments, places, states)),
        _axis(segments, first),
        role="img",
        aria_label=f"Of {segments} {unit}s: {description}.",
        class_="strip",
    )
    entries = (tag("li", _swatch(each), f"{words[each]}: {counts[each]:,}") for each in words)
    label = tag("div", f"{unit}, from {first}", class_="label end")
    return together(tag("div", picture, label, class_="plot flush"), tag("ul", *entries, class_="legend"))


def _worst(segments: int, places: Iterable[Place], states: Iterable[CellResult]) -> list[CellResult]:
    """Return the state that each cell shows: the worst of its segments."""
    cells = [CellResult.OTHER] * min(segments, _MOST_CELLS)
    for (start, stop), state in zip(places, states, strict=True):
        # A report may be read from anybody's file: what lies outside of the run is not drawn.
        if 0 <= start < stop <= segments:
            for cell in range(start * len(cells) // segments, (stop - 1) * len(cells) // segments + 1):
                cells[cell] = max(cells[cell], state, key=_WORST.index)
    return cells


def _cells(states: Sequence[CellResult]) -> Iterable[Markup]:
    """Yield one shape for each cell, or for neighbours with the same state if there are too many for gaps."""
    gap = 0.12 if len(states) <= 40 else 0.0
    first = 0
    for state, group in groupby(states):
        count = len(list(group))
        for start, width in [(first, count)] if not gap else [(first + each, 1) for each in range(count)]:
            yield tag(
                "rect",
                x=f"{100 * (start + gap / 2) / len(states):.3f}%",
                width=f"{100 * (width - gap) / len(states):.3f}%",
                y=_TOP[state],
                height=_BOTTOM[state] - _TOP[state],
                class_=state,
            )
        first += count


def _axis(segments: int, first: int) -> Markup:
    """Return the numbers of some segments, under the middle of their cells."""
    axis = Axis(first - 0.5, first + max(segments, 1) - 0.5)
    ticks = [tick for tick in axis.ticks(6) if tick == int(tick) >= first]
    names = labels([number(tick) for tick in ticks], [axis.at(tick) for tick in ticks])
    return together(*(tag("text", name, x=place, y=54, text_anchor=anchor) for name, place, anchor in names))


def _swatch(state: CellResult) -> Markup:
    height = (_BOTTOM[state] - _TOP[state]) / 2
    shape = tag("rect", x=0, width=10, y=9 - height / 2, height=height, class_=state)
    return tag("svg", shape, width=10, height=18, class_="swatch", aria_hidden="true")

"""The segments of a run as a strip: which were replayed, and which came out. Shape tells it, not only colour."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import groupby

from pol_jax.html.axis import Axis, number
from pol_jax.html.markup import Markup, tag, together
from pol_jax.report import Coverage, Replay

_MOST_CELLS = 400
"""More segments than that share cells; a cell shows the worst of its segments."""

_FIRST = {"segment": 0, "step": 1}

_OTHER, _EXACT, _CLOSE, _FALSE = "other", "exact", "close", "false"
_WORST = (_OTHER, _EXACT, _CLOSE, _FALSE)
_TOP = {_OTHER: 20, _EXACT: 10, _CLOSE: 14, _FALSE: 0}
_BOTTOM = {_OTHER: 24, _EXACT: 34, _CLOSE: 30, _FALSE: 34}
_WORDS = {
    _EXACT: "replayed, bit for bit",
    _CLOSE: "replayed, within the tolerance",
    _FALSE: "replayed, differs",
    _OTHER: "not replayed",
}
"""Where a cell begins and ends, in pixels: the worse, the higher."""


def strip(coverage: Coverage, replays: Sequence[Replay], close: Container[int]) -> Markup:
    """The strip with its axis and legend.

    Args:
        coverage: says what the cells are.
        replays: what came of each.
        close: last steps of those that differ, and are within the tolerance.
    """
    unit, segments, first = coverage.unit, coverage.segments, _FIRST[coverage.unit]
    states = [_state(replay, close) for replay in replays]
    counts = {each: states.count(each) for each in _WORDS} | {_OTHER: max(0, segments - len(replays))}
    words = {each: _WORDS[each] for each in _WORDS if each != _CLOSE or counts[_CLOSE]}
    description = ", ".join(f"{counts[each]} {words[each]}" for each in words)
    picture = tag(
        "svg",
        tag("title", f"{unit.capitalize()}s of the run"),
        *_cells(_worst(segments, [replay.segment - first for replay in replays], states)),
        _axis(segments, first),
        role="img",
        aria_label=f"Of {segments} {unit}s: {description}.",
        class_="strip",
    )
    entries = (tag("li", _swatch(each), f"{words[each]}: {counts[each]:,}") for each in words)
    label = tag("div", f"{unit}, from {first}", class_="label end")
    return together(tag("div", picture, label, class_="plot flush"), tag("ul", *entries, class_="legend"))


def _state(replay: Replay, close: Container[int]) -> str:
    if replay.mismatch is None:
        return _EXACT
    return _CLOSE if replay.stop in close else _FALSE


def _worst(segments: int, places: Iterable[int], states: Iterable[str]) -> list[str]:
    """What each cell shows."""
    cells = [_OTHER] * min(segments, _MOST_CELLS)
    for place, state in zip(places, states, strict=True):
        if 0 <= place < segments:
            at = place * len(cells) // segments
            cells[at] = max(cells[at], state, key=_WORST.index)
    return cells


def _cells(states: Sequence[str]) -> Iterable[Markup]:
    """One shape for each cell; where they are too many for gaps, one for neighbours that show the same."""
    gap = 0.12 if len(states) <= 40 else 0.0
    at = 0
    for state, group in groupby(states):
        count = len(list(group))
        for start, width in [(at, count)] if not gap else [(at + each, 1) for each in range(count)]:
            yield tag(
                "rect",
                x=f"{100 * (start + gap / 2) / len(states):.3f}%",
                width=f"{100 * (width - gap) / len(states):.3f}%",
                y=_TOP[state],
                height=_BOTTOM[state] - _TOP[state],
                class_=state,
            )
        at += count


def _axis(segments: int, first: int) -> Markup:
    """The numbers of some segments, under the middle of their cells."""
    axis = Axis(first - 0.5, first + max(segments, 1) - 0.5)
    ticks = (tick for tick in axis.ticks(6) if tick == int(tick) >= first)
    marks = (tag("text", number(tick), x=f"{axis.at(tick):.2f}%", y=54, text_anchor="middle") for tick in ticks)
    return together(*marks)


def _swatch(state: str) -> Markup:
    height = (_BOTTOM[state] - _TOP[state]) / 2
    shape = tag("rect", x=0, width=10, y=9 - height / 2, height=height, class_=state)
    return tag("svg", shape, width=10, height=18, class_="swatch", aria_hidden="true")

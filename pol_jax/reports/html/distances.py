"""This chart shows how far replayed steps are from the prover's, in one column for each comparison.

Everything is drawn as a share of the update. Outcomes are told by shape, and not only by colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pol_jax.reports.comparison import Compared
from pol_jax.reports.html.axis import Axis, axis_of, labels, number
from pol_jax.reports.html.charts import polyline
from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.outcomes import Outcome

_SHAPES = {
    Outcome.PASSED: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    Outcome.INCONCLUSIVE: "M0-5.5 5.5 0 0 5.5-5.5 0z",
    Outcome.FAILED: "M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5",
}
_OUTSIDE = 10.0
"""The rows for 0 and for infinity, which a logarithmic axis has no place for, have this height in percent."""

_APART = 7.0
"""Two labels on one side are at least this far apart, in percent of the chart's height."""


@dataclass(frozen=True)
class _Height:
    """A height places shares on a vertical axis, with a row for 0 below it and one for infinity above, where needed."""

    axis: Axis
    zero: bool
    infinite: bool

    def at(self, share: float) -> float:
        """Return the place of a share of the update, in percent from the top."""
        top, bottom = _OUTSIDE * self.infinite, 100 - _OUTSIDE * self.zero
        if math.isinf(share):
            return top / 2
        return (100 + bottom) / 2 if share <= 0 else bottom - (bottom - top) * self.axis.at(share) / 100


def distance_chart(description: str, compared: Sequence[Compared]) -> Markup:
    """Return the chart with its legend.

    Args:
        description: what the chart shows, for those who can't see it.
        compared: the comparisons, in order, at least one.
    """
    errors = [each.relative(each.error) for each in compared]
    drawn = [
        share for each in compared for share in (_noise(each), _tolerance(each), _limit(each)) if share is not None
    ]
    shares = [*errors, *drawn]
    # 1 is the update itself, whose line is always drawn.
    logarithmic = axis_of([1.0, *(share for share in shares if 0 < share < math.inf)], logarithmic=True)
    height = _Height(logarithmic, min(shares) <= 0, math.inf in errors)
    width = 100 / len(compared)
    places = [(column + 0.5) * width for column in range(len(compared))]
    picture = tag(
        "svg",
        tag("title", "Error of each comparison against its noise, tolerance, limit and update"),
        _grid_lines(height),
        _step_labels(places, compared),
        *(_band(place, width, height, each) for place, each in zip(places, compared, strict=True)),
        _limits(places, width, height, compared),
        *(
            _mark(each.outcome, f"{place:.2f}%", f"{height.at(error):.2f}%")
            for place, error, each in zip(places, errors, compared, strict=True)
        ),
        _names(height, compared),
        role="img",
        aria_label=description,
        class_="chart",
    )
    labels = tag("div", "share of the update, log scale", class_="label")
    plot = tag("div", labels, picture, tag("div", "step, evenly spaced", class_="label end"), class_="plot named")
    return together(plot, _legend(compared))


def _noise(compared: Compared) -> float | None:
    return _finite(compared.relative(compared.noise))


def _tolerance(compared: Compared) -> float | None:
    return _finite(compared.relative(compared.tolerance))


def _limit(compared: Compared) -> float | None:
    return _finite(compared.relative(compared.limit))


def _finite(share: float) -> float | None:
    return share if math.isfinite(share) else None


def _grid_lines(height: _Height) -> Markup:
    """Return the horizontal lines; that of the update is stronger than the others."""
    marks = [tag("line", x1="0%", x2="100%", y1="100%", y2="100%", class_="base")]
    outside = [(0.0, "0")] * height.zero + [(math.inf, "\u221e")] * height.infinite
    taken = [height.at(share) for share, _ in outside]
    rows = [
        (share, height.axis.name(share))
        for share in height.axis.ticks()
        if all(abs(height.at(share) - place) >= _APART for place in taken)
    ]
    for share, name in (*rows, *outside):
        place = f"{height.at(share):.2f}%"
        marks.append(tag("line", x1="0%", x2="100%", y1=place, y2=place, class_="grid"))
        marks.append(tag("text", name, x="-8", y=place, dy="0.32em", text_anchor="end"))
    place = f"{height.at(1.0):.2f}%"
    return together(*marks, tag("line", x1="0%", x2="100%", y1=place, y2=place, class_="update"))


def _step_labels(places: Sequence[float], compared: Sequence[Compared]) -> Markup:
    """Return the numbers of steps, as many as a narrow phone has room for."""
    names = labels([_name(each) for each in compared], places)
    return together(
        *(tag("text", name, x=place, y="100%", dy="1.4em", text_anchor=anchor) for name, place, anchor in names)
    )


def _name(compared: Compared) -> str:
    if compared.start < 0:
        return "initial"
    first, last = (number(float(step)) for step in (compared.start + 1, compared.stop))
    return f"{first}\u2013{last}" if compared.stop > compared.start + 1 else last


def _band(place: float, width: float, height: _Height, compared: Compared) -> Markup:
    """Return a band from the noise, a narrow bar, up to the tolerance, a wide one."""
    noise, tolerance = _noise(compared), _tolerance(compared)
    reach = min(0.36 * width, 2.5)
    ends = [(share, part) for share, part in ((noise, 0.5), (tolerance, 1.0)) if share is not None]
    bars = [_bar(place, reach * part, height.at(share)) for share, part in ends]
    if len(ends) == 2:
        x, (y1, y2) = f"{place:.2f}%", (f"{height.at(share):.2f}%" for share, _ in ends)
        bars.append(tag("line", x1=x, x2=x, y1=y1, y2=y2, class_="band"))
    return together(*bars)


def _bar(place: float, reach: float, y: float) -> Markup:
    x1, x2, level = (f"{value:.2f}%" for value in (place - reach, place + reach, y))
    return tag("line", x1=x1, x2=x2, y1=level, y2=level, class_="band")


def _limits(places: Sequence[float], width: float, height: _Height, compared: Sequence[Compared]) -> Markup:
    """Return a dashed line of the limits, with a step wherever the next column has another one."""
    line = list[tuple[float, float | None]]()
    for place, each in zip(places, compared, strict=True):
        share = _limit(each)
        y = None if share is None else height.at(share)
        line += [(place - width / 2, y), (place + width / 2, y)]
    return tag("g", polyline(line), class_="limit")


def _mark(outcome: Outcome, x: str, y: str) -> Markup:
    return tag("svg", tag("path", d=_SHAPES[outcome]), x=x, y=y, class_=f"mark {outcome}")


def _names(height: _Height, compared: Sequence[Compared]) -> Markup:
    """Return names beside the lines that they name; marks are named only where one column has all the room."""
    update, last = height.at(1.0), _limit(compared[-1])
    beside = [("100%", 8, "start", update, "update")]
    if last is not None:
        limit = height.at(last)
        # Nearer than this, the two names would be written over each other.
        apart = limit if abs(limit - update) >= _APART else update + _APART
        beside.append(("100%", 8, "start", apart, "limit"))
    if len(compared) == 1:
        (only,) = compared
        ends = (("noise", _noise(only)), ("tolerance", _tolerance(only)))
        beside += [("50%", 24, "start", height.at(share), name) for name, share in ends if share is not None]
        beside.append(("50%", -24, "end", height.at(only.relative(only.error)), "error"))
    return together(
        *(
            tag("text", name, x=x, dx=dx, y=f"{y:.2f}%", dy="0.32em", text_anchor=anchor, class_="name")
            for x, dx, anchor, y, name in beside
        )
    )


def _legend(compared: Sequence[Compared]) -> Markup:
    outcomes = {each.outcome for each in compared}
    band = (_stroke("M9 16V3M4 3H14M6.5 16H11.5", "band"), "from the noise up to the tolerance")
    entries = [
        *((_mark(each, "9", "9"), f"error, {each}") for each in _SHAPES if each in outcomes),
        band,
        (_stroke("M0 9H18", "limit"), "limit: the largest tolerance that decides"),
        (_stroke("M0 9H18", "update"), "update"),
    ]
    return tag("ul", *_entries(entries), class_="legend")


def _entries(entries: Iterable[tuple[Markup, str]]) -> Iterable[Markup]:
    for shape, words in entries:
        swatch = tag("svg", shape, width=18, height=18, class_="swatch chart-key", aria_hidden="true")
        yield tag("li", swatch, words)


def _stroke(path: str, class_: str) -> Markup:
    return tag("path", d=path, class_=class_)

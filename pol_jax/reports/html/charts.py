"""These functions draw charts in SVG.

A chart has no size of its own: places are percentages, so that text keeps its size on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from pol_jax.reports.html.axis import Axis, axis_of, labels, number
from pol_jax.reports.html.markup import Markup, tag, together

Points = Sequence[tuple[float, float | None]]
"""A point is a step and a value; where the value is None, the line has a gap."""


def line_chart(
    title: str, description: str, points: Points, steps: int, *, y: str, logarithmic: bool = False
) -> Markup:
    """Return a chart of a line over the steps of a run.

    Args:
        title: what the chart shows.
        description: what the line looks like, for those who can't see it.
        points: the points, of which at least one has a value; on a logarithmic axis all values are positive.
        steps: number of steps of the run.
        y: label of the vertical axis.
        logarithmic: whether the vertical axis is logarithmic.
    """
    across = Axis(0.0, float(max(1, steps)))
    up = axis_of((value for _, value in points if value is not None), logarithmic=logarithmic)
    # SVG counts from the top.
    placed = [(across.at(step), None if value is None else 100 - up.at(value)) for step, value in points]
    drawn = together(_horizontal_axis(across), _vertical_axis(up), polyline(placed), *_lone(placed))
    picture = tag("svg", tag("title", title), drawn, role="img", aria_label=f"{title}. {description}", class_="chart")
    labels = together(tag("div", y, class_="label"), picture, tag("div", "step", class_="label end"))
    return tag("div", labels, class_="plot")


def _horizontal_axis(axis: Axis) -> Markup:
    ticks = axis.ticks(4)
    names = labels([number(tick) for tick in ticks], [axis.at(tick) for tick in ticks])
    marks = [tag("text", name, x=place, y="100%", dy="1.4em", text_anchor=anchor) for name, place, anchor in names]
    return together(*marks, tag("line", x1="0%", x2="100%", y1="100%", y2="100%", class_="base"))


def _vertical_axis(axis: Axis) -> Markup:
    marks = []
    for tick in axis.ticks():
        place = f"{100 - axis.at(tick):.2f}%"
        marks.append(tag("line", x1="0%", x2="100%", y1=place, y2=place, class_="grid"))
        marks.append(tag("text", axis.name(tick), x="-8", y=place, dy="0.32em", text_anchor="end"))
    return together(*marks)


def polyline(placed: Points) -> Markup:
    """Return the line, in a picture of its own that is stretched over the chart without changing the line's width."""
    runs = (list(run) for has_value, run in groupby(placed, lambda point: point[1] is not None) if has_value)
    lines = (
        tag("polyline", points=" ".join(f"{x:.2f},{y:.2f}" for x, y in run), vector_effect="non-scaling-stroke")
        for run in runs
    )
    return tag("svg", *lines, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%", height="100%")


def _lone(placed: Points) -> list[Markup]:
    """Return a dot for each value that has no neighbour to draw a line to."""
    values = [None, *(value for _, value in placed), None]
    return [
        tag("circle", cx=f"{x:.2f}%", cy=f"{y:.2f}%", r=3)
        for index, (x, y) in enumerate(placed, 1)
        if y is not None and values[index - 1] is None and values[index + 1] is None
    ]

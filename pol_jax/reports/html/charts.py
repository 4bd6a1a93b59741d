"""Charts in SVG. They have no size of their own: places are percentages, so that text keeps its size on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from pol_jax.reports.html.axis import Axis, axis_of, labels, number
from pol_jax.reports.html.markup import Markup, tag, together

Points = Sequence[tuple[float, float | None]]
"""Where, and how much; None breaks the line."""


def line_chart(
    title: str, description: str, points: Points, steps: int, *, y: str, logarithmic: bool = False
) -> Markup:
    """A line over the steps of a run.

    Args:
        title: what is shown.
        description: the same for those who can't see it.
        points: at least one has a value; on a logarithmic axis all values are positive.
        steps: of the run.
        y: label of the vertical axis.
        logarithmic: whether the vertical axis is.
    """
    across = Axis(0.0, float(max(1, steps)))
    up = axis_of((value for _, value in points if value is not None), logarithmic=logarithmic)
    placed = [(across.at(where), None if value is None else 100 - up.at(value)) for where, value in points]
    drawn = together(_across(across), _up(up), polyline(placed), *_lone(placed))
    picture = tag("svg", tag("title", title), drawn, role="img", aria_label=f"{title}. {description}", class_="chart")
    labels = together(tag("div", y, class_="label"), picture, tag("div", "step", class_="label end"))
    return tag("div", labels, class_="plot")


def _across(axis: Axis) -> Markup:
    ticks = axis.ticks(4)
    names = labels([number(tick) for tick in ticks], [axis.at(tick) for tick in ticks])
    marks = [tag("text", name, x=place, y="100%", dy="1.4em", text_anchor=anchor) for name, place, anchor in names]
    return together(*marks, tag("line", x1="0%", x2="100%", y1="100%", y2="100%", class_="base"))


def _up(axis: Axis) -> Markup:
    marks = []
    for tick in axis.ticks():
        place = f"{100 - axis.at(tick):.2f}%"
        marks.append(tag("line", x1="0%", x2="100%", y1=place, y2=place, class_="grid"))
        marks.append(tag("text", axis.name(tick), x="-8", y=place, dy="0.32em", text_anchor="end"))
    return together(*marks)


def polyline(placed: Points) -> Markup:
    """The line in a picture of its own that is stretched over the chart; its width is not."""
    runs = (list(run) for there, run in groupby(placed, lambda point: point[1] is not None) if there)
    lines = (
        tag("polyline", points=" ".join(f"{x:.2f},{y:.2f}" for x, y in run), vector_effect="non-scaling-stroke")
        for run in runs
    )
    return tag("svg", *lines, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%", height="100%")


def _lone(placed: Points) -> list[Markup]:
    """Dots where a value has no neighbour to draw a line to."""
    values = [None, *(value for _, value in placed), None]
    return [
        tag("circle", cx=f"{x:.2f}%", cy=f"{y:.2f}%", r=3)
        for at, (x, y) in enumerate(placed, 1)
        if y is not None and values[at - 1] is None and values[at + 1] is None
    ]

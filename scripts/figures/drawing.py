"""Draw measured points: each series is a line or a row of markers, with its own colour, marker and dashes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from figures.points import Measured, Point

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""These are Okabe and Ito's colours, which colour-blind people can tell apart."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
DASHES: Final = ("-", "--", "-.", ":", "-", "--", "-.")

REFERENCE_2021: Final = 0.65
"""The 2021 implementation has this l2 error over update: ResNet-20 on CIFAR-10, k = 10, augmentation unseeded."""


@dataclass(frozen=True)
class Look:
    """A look lays a figure out.

    Attributes:
        title: above all panels.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        axis: what the horizontal axis shows: numbers, their logarithms, or names.
        xs: labels of the horizontal axes of panels that have their own.
        ys: labels of the vertical axes of panels that have their own.
        reference: whether to show the 2021 implementation's error.
        linear: panels whose vertical axis is not logarithmic.
    """

    title: str
    x: str
    y: str = "error / update (l2, parameters)"
    axis: Literal["numbers", "logarithms", "names"] = "logarithms"
    xs: Mapping[str, str] = field(default_factory=dict)
    ys: Mapping[str, str] = field(default_factory=dict)
    reference: bool = False
    linear: frozenset[str] = frozenset()


def draw(measured: Measured, look: Look, path: Path) -> None:
    """Draw a figure as PNG.

    Raises:
        ImportError: matplotlib isn't there.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys(point.panel for point in measured.points))
    floor = min((point.y for point in measured.points if point.y > 0), default=1e-9) / 5
    with plt.rc_context({"font.size": 9, "axes.grid": True, "grid.alpha": 0.3}):
        width = {1: 7.2, 2: 9.5}.get(len(panels), 12.5)
        figure, axes = plt.subplots(
            1, len(panels), figsize=(width, 4.6), squeeze=False, sharey=not look.ys, layout="constrained"
        )
        for panel, axis in zip(panels, axes[0], strict=True):
            _panel(axis, [point for point in measured.points if point.panel == panel], look, panel, floor)
        if look.reference:
            axes[0][0].set_ylim(top=max(4 * REFERENCE_2021, axes[0][0].get_ylim()[1]))
        _legends(figure, axes[0])
        figure.suptitle(look.title, fontsize=11)
        figure.savefig(path, dpi=110, metadata={"Software": None})
        plt.close(figure)


def _legends(figure: Any, axes: Sequence[Any]) -> None:
    """Put one legend below all panels where they have the same series, and else one in each panel."""
    every = [axis.get_legend_handles_labels() for axis in axes]
    if all(labels == every[0][1] for _, labels in every):
        figure.legend(*every[0], loc="outside lower center", ncols=min(len(every[0][1]), 4), fontsize=8)
    else:
        for axis in axes:
            axis.legend(fontsize=8, framealpha=0.9)


def _panel(axis: Any, points: Sequence[Point], look: Look, panel: str, floor: float) -> None:
    names = list(dict.fromkeys(str(point.x) for point in points)) if look.axis == "names" else []
    every = list(dict.fromkeys(point.series for point in points))
    for at, series in enumerate(every):
        own_points = [point for point in points if point.series == series]
        spread = 0.8 / max(len(every), 3) if names else 0.2 if look.axis == "numbers" else 0.0
        shift = (at - (len(every) - 1) / 2) * spread  # so that no marker hides another
        _series(axis, own_points, names, shift, at, floor, joined=look.axis == "logarithms")
    own = look.y if axis.get_subplotspec().is_first_col() else ""
    axis.set(xlabel=look.xs.get(panel, look.x), ylabel=look.ys.get(panel, own), title=panel)
    if panel not in look.linear:
        axis.set_yscale("log")
    if names:
        turned = 90 if len(names) > 6 else 20 if max(map(len, names)) > 9 else 0
        axis.set_xticks(range(len(names)), names, rotation=turned, ha="right" if turned == 20 else "center")
        axis.set_xlim(-0.6, len(names) - 0.4)
    elif look.axis == "logarithms":
        _logarithms(axis, sorted({float(point.x) for point in points}))
    _lines(axis, points, look, floor)


def _lines(axis: Any, points: Sequence[Point], look: Look, floor: float) -> None:
    """Draw the 2021 error, and the band that stands for 0 on an axis of logarithms, which has no 0."""
    across = axis.get_yaxis_transform()
    if any(point.y == 0 for point in points):
        axis.axhspan(floor / 2, floor * 2, color="0.9", zorder=0)
        axis.text(0.98, floor * 2.1, "exactly 0", va="bottom", ha="right", transform=across, fontsize=8, color="0.25")
    if look.reference:
        axis.axhline(REFERENCE_2021, color="0.35", linestyle=(0, (1, 1)), linewidth=1)
        label = "2021 implementation, k = 10"
        axis.text(0.02, REFERENCE_2021, label, va="bottom", fontsize=8, color="0.25", transform=across)


def _series(
    axis: Any, points: Sequence[Point], names: Sequence[str], shift: float, at: int, floor: float, *, joined: bool
) -> None:
    """Draw the median over builds and seeds, and a bar from the smallest to the largest value."""
    colour, marker = COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]
    places = list(dict.fromkeys(point.x for point in points))
    xs = [(names.index(str(x)) if names else float(x)) + shift for x in places]
    groups = [[point.y or floor for point in points if point.x == x] for x in places]
    middle = [statistics.median(group) for group in groups]
    below = [m - min(group) for m, group in zip(middle, groups, strict=True)]
    above = [max(group) - m for m, group in zip(middle, groups, strict=True)]
    axis.errorbar(
        xs,
        middle,
        yerr=[below, above] if any(len(group) > 1 for group in groups) else None,
        color=colour,
        marker=marker,
        markersize=5,
        linestyle=DASHES[at % len(DASHES)] if joined else "none",
        linewidth=1.2,
        elinewidth=1,
        capsize=2,
        label=points[0].series,
    )


def _logarithms(axis: Any, places: Sequence[float]) -> None:
    """Put ticks where something was measured."""
    from matplotlib.ticker import NullLocator

    axis.set_xscale("log")
    axis.set_xticks(places, [f"{x:g}" for x in places])
    axis.xaxis.set_minor_locator(NullLocator())

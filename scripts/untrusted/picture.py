"""The comparison as a picture: test accuracy over the number of Byzantine workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures.drawing import COLOURS, DASHES, MARKERS

from untrusted.tables import ALONE, Found


def draw(found: Mapping[str, Found], path: Path) -> None:
    """Draw a panel for each data set, and a line for each way to aggregate."""
    from matplotlib.figure import Figure  # takes half a second to import

    figure = Figure(figsize=(5.2 * len(found), 4), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (name, rows) in zip(panels, found.items(), strict=True):
        for at, way in enumerate(next(iter(rows.values()))):
            accuracies = [row[way].accuracy for row in rows.values()]
            look: dict[str, Any] = {"color": COLOURS[at], "marker": MARKERS[at], "linestyle": DASHES[at]}
            if way == ALONE:  # the line of what is proven lies on it
                look |= {"linestyle": "none", "markersize": 11, "fillstyle": "none"}
            axes.plot(list(rows), accuracies, label=way, **look)
        axes.set(title=name, xlabel="Byzantine workers", ylabel="test accuracy", ylim=(0, 1))
        axes.set_xticks(list(rows))
    panels[0].legend(fontsize=8)
    figure.savefig(path, dpi=120)

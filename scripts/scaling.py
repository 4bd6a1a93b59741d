"""Measure how the costs of a proof grow: with the state, the steps, the records, the segments challenged and the jobs.

    python scripts/scaling.py [--quick] [--out FOLDER]

Writes ``scaling.csv`` and draws ``scaling.png`` in FOLDER, which is ``docs`` by default, and prints how each
cost grows: the exponent of the power law between its last two sizes, 1.00 for a straight line. Times are those of the
processor, so that other work on the machine hardly changes them. It takes some minutes.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Final

from machine import description, warn_if_busy
from scales import records, segments, states, steps
from scales.measured import Measured

FOLDER: Final = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Panel:
    """A panel shows some costs against one size."""

    name: str
    size: str
    measure: Callable[[bool], Iterator[Measured]]


PANELS: Final = (
    Panel("state", "bytes of a state", states.measure),
    Panel("steps", "steps of a run", steps.measure),
    Panel("records", "records of a data set", records.measure),
    Panel("segments", "segments challenged", segments.measure),
)


def main() -> None:
    """Measure all panels, write the table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes only; for trying the script")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    warn_if_busy()
    print(", ".join(f"{name} {value}" for name, value in description().items()))
    found: list[tuple[Panel, list[Measured]]] = []
    for panel in PANELS:
        found.append((panel, list(panel.measure(options.quick))))
        for line in _growth(found[-1][1]):
            print(f"{panel.name:9} {line}", flush=True)
    _write(options.out / "scaling.csv", found)
    _draw(options.out / "scaling.png", found)


def _growth(found: Sequence[Measured]) -> Iterator[str]:
    """Say of each cost how it grew between its last two sizes."""
    for what in dict.fromkeys(each.what for each in found):
        series = sorted((each.size, each.seconds) for each in found if each.what == what)
        (size, seconds), (last, more) = list(pairwise(series))[-1]
        exponent = math.log(max(more, 1e-9) / max(seconds, 1e-9)) / math.log(last / size)
        yield f"{what:40} {more:9.3f} s at {last:.0e}; grows with exponent {exponent:.2f}"


def _write(path: Path, found: Sequence[tuple[Panel, Sequence[Measured]]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["panel", *(field.name for field in fields(Measured))])
        for panel, series in found:
            table.writerows([panel.name, *astuple(each)] for each in series)


def _draw(path: Path, found: Sequence[tuple[Panel, Sequence[Measured]]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from figures.drawing import COLOURS, MARKERS

    figure, axes = plt.subplots(2, 2, figsize=(11, 8), constrained_layout=True)
    for ax, (panel, series) in zip(axes.flat, found, strict=True):
        for at, what in enumerate(dict.fromkeys(each.what for each in series)):
            points = sorted((each.size, each.seconds) for each in series if each.what == what)
            ax.plot(*zip(*points, strict=True), color=COLOURS[at], marker=MARKERS[at], label=what)
        ax.set(xscale="log", yscale="log", xlabel=panel.size, ylabel="processor seconds")
        ax.grid(visible=True, which="major", alpha=0.3)
        ax.legend(fontsize=8, frameon=False)
    figure.suptitle("What a proof costs, as it grows")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()

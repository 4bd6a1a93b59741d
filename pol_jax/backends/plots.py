"""Figures of a comparison show how errors grow along a segment, how large they are in each step, and in which leaves.

Colours are those of Okabe and Ito, which can be told apart with any kind of colour vision; every colour has a marker
or a label of its own besides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pol_jax.backends.overview import Line, lines, plain_text, relative
from pol_jax.backends.results import Results
from pol_jax.files import storing

_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS: Final = "osD^vPX"
_DASHES: Final = ("-", "--", ":")
_TOLERANCE: Final = {
    "passed": ("#0072B2", "o"),
    "inconclusive": ("#E69F00", "s"),
    "failed": ("#D55E00", "X"),
    "not judged": ("#777777", "d"),
}

_MOST_LEAVES: Final = 24
_MOST_LABEL: Final = 60
_NOTE: Final = 110
"""A line of the note below a figure has at most this many characters."""


def write_plots(parts: Sequence[Results], folder: Path) -> list[Path]:
    """Write each figure as SVG and PNG; those that would be empty are left out.

    Args:
        parts: results of each machine.
        folder: where.

    Raises:
        StorageError: a file can't be written.
    """
    kinds = [group for letter, group in _kinds(lines(parts)).items() if letter != "A"]
    equal = [line.label for line in lines(parts) if line.equal]
    written = list[Path]()
    for name, figure in _figures(kinds, equal, plain_text(parts[0].task)):
        for ending in ("svg", "png"):
            path = folder / f"{name}.{ending}"
            with storing(path):
                figure.savefig(path, dpi=150, bbox_inches="tight")
            written.append(path)
    return written


def _figures(kinds: Sequence[Sequence[Line]], equal: Sequence[str], task: str) -> Iterator[tuple[str, Figure]]:
    if not kinds:
        return
    note = f"Equal bits, so no error: {'; '.join(equal) or 'none'}"
    found = [each for group in kinds for each in group[0].outcome.reproductions if _drawable(relative(each.total))]
    if any(each.kind == "step" for each in found):
        yield "steps", _steps(kinds, task, note)
    if any(each.kind == "segment" for each in found):
        yield "growth", _growth(kinds, task, note)
    if any(_drawable(relative(leaf)) for each in found if each.kind == "step" for leaf in each.leaves):
        yield "leaves", _leaves(kinds, task, note)


def _kinds(found: Sequence[Line]) -> Mapping[str, list[Line]]:
    """Return backends by their bits: those that gave the same are one line of a figure."""
    kinds = dict[str, list[Line]]()
    for line in found:
        kinds.setdefault(line.bits, []).append(line)
    return kinds


def _name(group: Sequence[Line], most: int = _MOST_LABEL) -> str:
    text = " = ".join(line.label for line in group)
    return text if len(text) <= most or len(group) == 1 else f"{group[0].label} and {len(group) - 1} more"


def _steps(kinds: Sequence[Sequence[Line]], task: str, note: str) -> Figure:
    """Draw a row for each kind of bits, a point for each step, by what a verifier there would say."""
    figure = Figure(figsize=(8, 1.6 + 0.45 * len(kinds)), layout="constrained")
    axes, shown = figure.add_subplot(), set[str]()
    for at, group in enumerate(kinds):
        for each in group[0].outcome.of("step"):
            error = relative(each.total)
            if _drawable(error):
                judged = each.tolerance or "not judged"
                colour, marker = _TOLERANCE[judged]
                label = None if judged in shown else judged
                shown.add(judged)
                axes.scatter(error, at, color=colour, marker=marker, s=36, alpha=0.75, label=label, zorder=3)
    axes.set_xscale("log")
    axes.set_yticks(range(len(kinds)), [_name(group) for group in kinds])
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlabel("error of one step / its update (l2)")
    axes.legend(title="within tolerance", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _finished(figure, axes, f"Reproduction error of single steps: {task}", note)


def _growth(kinds: Sequence[Sequence[Line]], task: str, note: str) -> Figure:
    """Draw a line for each kind of bits: from one committed state on, without correction."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for at, group in enumerate(group for group in kinds if group[0].segments):
        segment = max(group[0].segments, key=len)
        points = [(each.stop - each.start, relative(each.total)) for each in segment]
        drawn = [(length, error) for length, error in points if _drawable(error)]
        colour, marker = _COLOURS[at % len(_COLOURS)], _MARKERS[at % len(_MARKERS)]
        if drawn:
            dashes = _DASHES[at // len(_COLOURS) % len(_DASHES)]
            axes.plot(*zip(*drawn, strict=True), dashes, color=colour, marker=marker, label=_name(group))
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("steps from the committed state")
    axes.set_ylabel("error / update since then (l2)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    note = f"A line begins where bits first differ. {note}"
    return _finished(figure, axes, f"Reproduction error along a segment: {task}", note)


def _leaves(kinds: Sequence[Sequence[Line]], task: str, note: str) -> Figure:
    """Draw a map of kinds and leaves: the largest error of a step, as a share of the leaf's update."""
    worst = [_worst_by_leaf(group[0]) for group in kinds]
    names = sorted(
        {name for each in worst for name in each}, key=lambda name: -max(each.get(name, 0) for each in worst)
    )
    kept = names[:_MOST_LEAVES]
    values = np.array([[each.get(name, 0.0) for each in worst] for name in kept])
    figure = Figure(figsize=(3.5 + 0.9 * len(kinds), 1.8 + 0.28 * len(kept)), layout="constrained")
    axes = figure.add_subplot()
    values[values == 0] = np.nan  # a logarithmic scale has no place for 0; what is NaN shows the grey below it
    least = float(np.nanmin(values))
    # A scale needs two ends that differ, though there be one error only.
    norm = LogNorm(least, max(float(np.nanmax(values)), 2 * least))
    axes.set_facecolor("#dddddd")
    image = axes.imshow(values, norm=norm, cmap="cividis", aspect="auto")
    figure.colorbar(image, ax=axes, label="largest error of a step / update of the leaf (l2)")
    axes.set_yticks(range(len(kept)), [plain_text(name or "/")[:_MOST_LABEL] for name in kept])
    axes.set_xticks(
        range(len(kinds)), [_name(group, 30) for group in kinds], rotation=40, ha="right", rotation_mode="anchor"
    )
    left_out = f"; {len(names) - len(kept)} leaves with smaller errors are left out" if len(names) > len(kept) else ""
    return _finished(
        figure, axes, f"Reproduction error by leaf: {task}", f"Grey: no error{left_out}. {note}", grid=False
    )


def _worst_by_leaf(line: Line) -> dict[str, float]:
    worst = dict[str, float]()
    for each in line.outcome.of("step"):
        for leaf in each.leaves:
            error = relative(leaf)
            worst[leaf.leaf or ""] = max(worst.get(leaf.leaf or "", 0.0), error if math.isfinite(error) else 0.0)
    return worst


def _drawable(error: float) -> bool:
    return math.isfinite(error) and error > 0


def _finished(figure: Figure, axes: Axes, title: str, note: str, *, grid: bool = True) -> Figure:
    axes.set_title(title, loc="left")
    if grid:
        axes.grid(which="major", color="#dddddd", linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("\n".join(wrap(note, _NOTE)), fontsize=8, color="#444444", x=0.01, ha="left")
    return figure

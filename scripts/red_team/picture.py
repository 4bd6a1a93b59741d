"""The scoreboard as a picture: a square for each attack and verifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from red_team.modes import MODES

COLOURS = {"accepted": "#c0392b", "inconclusive": "#e0b84c", "rejected": "#2e7d4f", "none": "#dddddd"}


def draw_scoreboard(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw what each verifier said most often; accepted is red."""
    columns = ("paper's rule", *MODES)
    figure = Figure(figsize=(1.1 * len(columns) + 3, 0.28 * len(lines) + 1.2), layout="constrained")
    axes = figure.subplots()
    for row, line in enumerate(lines):
        paper = ["accepted" if each == "accepted" else "rejected" for each in line["paper"]]
        said = [paper, *([each["verdict"] for each in line["ours"][mode]] for mode in MODES)]
        for column, verdicts in enumerate(said):
            worst = next((name for name in COLOURS if name in verdicts), "none")
            axes.add_patch(_square(column, row, COLOURS[worst]))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(lines) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(lines)), [line["attack"] for line in lines])
    axes.set_title("red: accepted in a trial; yellow: inconclusive; green: refused", fontsize=9)
    figure.savefig(path, dpi=120)


def _square(column: int, row: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.46, row - 0.42), 0.92, 0.84, color=colour)

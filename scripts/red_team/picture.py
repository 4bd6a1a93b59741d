"""The scoreboard as a picture: a square for each attack and verifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from red_team.modes import MODES
from red_team.tally import Tally

COLOURS = {"accepted": "#c0392b", "inconclusive": "#e0b84c", "rejected": "#2e7d4f", "none": "#dddddd"}


def draw_scoreboard(tallies: Mapping[str, Tally], path: Path) -> None:
    """Draw the worst that each verifier said of each attack in any trial; accepted is red."""
    from matplotlib.figure import Figure  # takes half a second to import

    columns = ("paper's rule", *MODES)
    figure = Figure(figsize=(1.1 * len(columns) + 3, 0.28 * len(tallies) + 1.2), layout="constrained")
    axes = figure.subplots()
    for row, tally in enumerate(tallies.values()):
        paper = "accepted" if tally.paper.get("accepted") else "rejected"
        for column, said in enumerate([paper, *(_worst(tally, mode) for mode in MODES)]):
            axes.add_patch(_square(column, row, COLOURS[said]))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(tallies) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(tallies)), list(tallies))
    axes.set_title("red: accepted in a trial; yellow: inconclusive; green: refused", fontsize=9)
    figure.savefig(path, dpi=120)


def _worst(tally: Tally, mode: str) -> str:
    return next((name for name in COLOURS if mode in tally.modes and tally.modes[mode].share(name)), "none")


def _square(column: int, row: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.46, row - 0.42), 0.92, 0.84, color=colour)

"""A benchmark prints a table; each of its lines says one thing that was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = f"{'':54} {'median (min-max)':>24} {'at most':>8}"


@dataclass(frozen=True)
class Line:
    """A line says what was measured, its value, the most that it may be, and what else a reader should know."""

    what: str
    value: str
    limit: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.what:54} {self.value:>24} {self.limit:>8}  {self.note}"


Part = Callable[[bool, Path | None], Iterator[Line]]
"""Measures one part, quickly or in full, with the TFDS data directory if one was given."""


def needs_data(what: str) -> Line:
    """Say that something was left out, because its data set was not given."""
    return Line(what, "not measured", "", "needs --data-dir")


def ratios(times: Sequence[float], others: Sequence[float]) -> str:
    """Write the median, least and largest of the ratios of each pair: neighbours in time share the machine's mood."""
    found = sorted(a / b for a, b in zip(times, others, strict=True))
    return f"{statistics.median(found):.3f} ({found[0]:.3f}-{found[-1]:.3f})"


def seconds(times: Sequence[float]) -> str:
    """Write the median, least and largest of some times."""
    return f"{statistics.median(times):.1f} s ({min(times):.1f}-{max(times):.1f})"

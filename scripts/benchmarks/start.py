"""The start of the package and of the command line is measured as whole processes."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import output_of
from benchmarks.table import Line

STARTS = (
    ("import pol_jax", "import pol_jax", ""),
    ("pol --help", "from pol_jax.cli.main import main; import sys; sys.argv = ['pol', '--help']; main()", "0.5 s"),
)
"""What is started, its code, and the most that it may take."""


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Start each a few times."""
    for what, code, limit in STARTS:
        times = []
        for _round in range(3 if quick else 15):
            begun = time.perf_counter()
            output_of(sys.executable, "-c", code)
            times.append(time.perf_counter() - begun)
        yield Line(what, f"{statistics.median(times):.2f} s", limit, f"{min(times):.2f}-{max(times):.2f} s")

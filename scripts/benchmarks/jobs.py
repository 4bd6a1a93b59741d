"""A verification in two processes is compared with one in a single process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.digits_proof import proof_of_digits, time_verification
from benchmarks.table import Line, ratios

INTERVAL = 50


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Verify digits where XLA has one thread for a step, and a step is long enough to keep it busy."""
    rounds, segments = (2, 8) if quick else (2, 30)
    busy = "benchmarks.digits_proof:busy"
    with proof_of_digits(segments * INTERVAL, INTERVAL, busy, NPROC="1") as (out, source, _cache):
        time_verification(out, source, (0,))  # compiles
        ones, twos = list[float](), list[float]()
        for _round in range(rounds):
            for jobs, times in ((1, ones), (2, twos)):
                times.append(time_verification(out, source, range(segments), jobs).replay)
    note = f"{segments} segments of {INTERVAL} steps; a worker's start included"
    yield Line("digits, batch 512 on one core: --jobs 1 / --jobs 2", ratios(ones, twos), ">= 1.7", note)

"""Costs that grow with what is challenged: a verification of digits, by one process and by two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from benchmarks.digits_proof import proof_of_digits

from pol_jax import ListedSegments, verify
from scales.measured import Measured

SEGMENTS: Final = (1, 2, 4, 8, 16, 32, 64)
INTERVAL: Final = 50


def measure(quick: bool) -> Iterator[Measured]:
    """Measure 1 to 64 segments of 50 steps; the start of the processes is included."""
    chosen = SEGMENTS[:2] if quick else SEGMENTS
    with proof_of_digits(chosen[-1] * INTERVAL, INTERVAL) as (out, source, _cache):
        verify(out, source, policy=ListedSegments((0,)))  # compiles
        for jobs in (1, 2):
            for count in chosen:
                begun = time.perf_counter()
                report = verify(out, source, policy=ListedSegments(tuple(range(count))), jobs=jobs)
                assert report, report.reasons  # noqa: S101  # only an accepted proof is a measurement
                yield Measured(f"verify, --jobs {jobs}", count, time.perf_counter() - begun)

"""Costs that grow with what is challenged: the processor time of a verification, of all its processes."""

from __future__ import annotations

import resource
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
                begun = _processor_seconds()
                report = verify(out, source, policy=ListedSegments(tuple(range(count))), jobs=jobs)
                assert report, report.reasons  # noqa: S101  # only an accepted proof is a measurement
                yield Measured(f"verify, --jobs {jobs}", count, _processor_seconds() - begun)


def _processor_seconds() -> float:
    """Return the processor time of this process and of those that it started and that ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)

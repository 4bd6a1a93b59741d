"""A cost that was measured at one size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A cost in seconds, of something named, at a size."""

    what: str
    size: float
    seconds: float


def processor_seconds(call: Callable[[], object], times: int = 3) -> float:
    """Return the processor time of the fastest of some calls."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        call()
        found.append(time.process_time() - begun)
    return min(found)

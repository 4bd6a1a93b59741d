"""What a piece of work took: seconds on the clock, and of the processor, which others on the machine hardly change."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Spent:
    """The seconds of each round of the same work."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Time what is done inside as one more round."""
        begun = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - begun[0])
        self.processor.append(time.process_time() - begun[1])

    def over(self, other: Spent) -> str:
        """Return the median ratio of processor time to that of the other work, round by round, in words."""
        return f"processor time {_median_ratio(self.processor, other.processor):.3f}"


def _median_ratio(times: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(times, others, strict=True))

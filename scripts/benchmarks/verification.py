"""A verification is compared with the share of training that it replays; its fixed start is measured by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.digits_proof import proof_of_digits, time_verification
from benchmarks.plain_training import time_plain_training
from benchmarks.table import Line, ratios, seconds

INTERVAL = 100
SHARE = 4
"""One segment of so many is replayed."""


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Verify digits, with and without compiled programs from before.

    A start ends where the self-test does: it has imports, stages 1 to 7, compilation, and ten steps.
    """
    rounds, segments = (2, 8) if quick else (5, 24)
    chosen = range(1, segments, SHARE)
    with proof_of_digits(segments * INTERVAL, INTERVAL) as (out, source, cache):
        training = [time_plain_training(out, source, segments * INTERVAL) for _ in range(rounds)]
        replays, warm, cold = list[float](), list[float](), list[float]()
        for _round in range(rounds):
            shutil.rmtree(cache / "pol_jax" / "compiled", ignore_errors=True)
            cold.append(time_verification(out, source, (0,)).start)
            found = time_verification(out, source, chosen)
            replays.append(found.replay)
            warm.append(found.start)
    share = [len(chosen) / segments * each for each in training]
    note = f"{len(chosen)} of {segments} segments of {INTERVAL} steps; less the fixed start"
    yield Line("digits: verification / share of training replayed", ratios(replays, share), "1.10", note)
    yield Line("digits: fixed start, compiled before", seconds(warm), "2 s", "all files are checked in it")
    yield Line("digits: fixed start, nothing compiled", seconds(cold))

"""The number of steps between two state digests is chosen by what digests cost, unless the prover chooses it.

A digest of every state serves verifiers best. An opened step is then proved by itself, with its own records. With
digests after every w-th step, a span of w steps is opened and judged in its place. On the other hand, the digest of a
large state takes longer than many a step. So a few steps and digests are timed before anything is committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import jax
import numpy as np
from jaxtyping import UInt32

from pol_jax.program.artifact import Leaves, Program
from pol_jax.training.records import Batch
from pol_jax.training.states import Layout

SHARE: Final = 0.02
"""The digests may cost this share of the time of the steps."""

UNNOTICED: Final = 0.5e-3
"""Nobody waits for a digest of this many seconds, however short the steps are: it is taken at every step."""

_TIMED: Final = 5
_SECONDS: Final = 1.0
"""This many executions are timed, and none begins after this many seconds."""


@dataclass(frozen=True)
class Costs:
    """These costs say how many seconds a step and the digest of a state take.

    Attributes:
        step: a step takes so long, without a digest.
        waiting: the device waits so long because of a digest.
        behind: a digest takes so long beside the loop, while the device computes.
    """

    step: float
    waiting: float
    behind: float = 0.0


def smallest_interval(costs: Costs, most: int) -> int:
    """Return the smallest number of steps between digests that costs at most 2% of the steps, at most ``most``."""
    if costs.waiting + costs.behind <= UNNOTICED:
        return 1
    # Waiting is time lost. What runs beside the device costs nothing, as long as it is done before the next digest.
    needed = max(costs.waiting / SHARE, costs.behind) / max(costs.step, 1e-9)
    return max(1, min(most, ceil(needed)))


def measure(program: Program, batch: Batch, key: UInt32[np.ndarray, " words"]) -> Costs:
    """Time some steps and digests of a program that is compiled already; the states are dropped.

    Args:
        program: what runs, from the initial state of ``key``.
        batch: what every step receives.
        key: key data of every step.
    """
    layout, state = Layout(program.signature.state), program.init(key)

    def steps(number: int, *, parted: bool = False) -> None:
        nonlocal state
        for _ in range(number):
            if parted:
                layout.view(state).digest()
            state, _metrics = program.step(state, batch, key)
        jax.block_until_ready(state)

    steps(1)
    waiting, behind = _digest_costs(layout, state)
    # Timing steps takes seconds, which short runs would notice.
    if waiting + behind <= UNNOTICED:  # whatever a step takes
        return Costs(0.0, waiting, behind)
    step = _least(lambda: steps(1))
    if layout.is_digested_in_place(state) and 2 * waiting > SHARE * step:
        # A loop that stops for a digest loses more than the digest takes: the device runs dry, and its caches are cold.
        stopped = _least(lambda: steps(2, parted=True)) - _least(lambda: steps(2))
        # Two steps and two digests were timed.
        waiting = max(waiting, stopped / 2)
    return Costs(step, waiting, behind)


def _digest_costs(layout: Layout, state: Leaves) -> tuple[float, float]:
    if layout.is_digested_in_place(state):
        return _least(lambda: layout.view(state).digest()), 0.0
    if digests := layout.digest_on_device(state):
        digests.digest()  # compiles
        return _least(lambda: (layout.digest_on_device(state) or digests).digest()), 0.0
    jax.block_until_ready(layout.pack(state))  # compiles
    copying = _least(lambda: jax.block_until_ready(layout.pack(state)))
    packed = layout.pack(state)
    digesting = _least(lambda: layout.fetch(packed).digest())
    on_cpu = all(device.platform == "cpu" for device in packed[0].devices())
    # The host that digests is the device there, and its cores have steps to compute.
    return (copying + digesting, 0.0) if on_cpu else (copying, digesting)


def _least(call: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some calls: others may have waited for the processor."""
    times, begun = list[float](), time.perf_counter()
    while len(times) < _TIMED and (not times or time.perf_counter() - begun < _SECONDS):
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return min(times)

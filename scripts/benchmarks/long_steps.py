"""Training with a proof where steps are long: 200 MB of state, about a second a step, a checkpoint every 100 steps.

A few rounds stand for the hundred steps: what they take with a proof and without, in turns, and what a checkpoint takes
beside them, in seconds of the processor.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.large_state import large_state
from benchmarks.plain_training import FOREVER, train_plainly
from benchmarks.spent import Spent
from benchmarks.table import Line
from pol_jax import Choices, Recording
from pol_jax.training.inputs import step_inputs
from pol_jax.training.loop import run

_WIDTH, _BATCH = 2360, 3600
_ROUNDS, _STEPS, _INTERVAL = 4, 6, 100
"""The last round saves a checkpoint; the others save none."""


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Measure rounds without a checkpoint, and one with it."""
    plain, recorded = Spent(), Spent()
    task = large_state(width=_WIDTH, batch_size=_BATCH)
    steps = 2 if quick else _STEPS
    with tempfile.TemporaryDirectory() as folder:
        choices = Choices(interval=_ROUNDS * steps)
        recording = Recording(task, Path(folder, "proof"), steps=_ROUNDS * steps, choices=choices)
        others = step_inputs(recording.commitment, task.source, 1, FOREVER)
        with recording:
            assert recording.follower is not None  # noqa: S101  # the recording is open
            inputs, state = iter(recording), recording.leaves
            for _round in range(_ROUNDS):
                other = train_plainly(recording.program, tuple(leaf.copy() for leaf in state), others, 1)
                with plain.timing():
                    train_plainly(recording.program, other, others, steps)
                del other
                with recorded.timing():
                    state = run(recording.program, state, itertools.islice(inputs, steps), recording.follower)
        size, every = recording.witness.layout.nbytes, recording.commitment.schedule.witness_interval
    *between, last = recorded.processor
    without = statistics.median(plain.processor) / steps
    saved = max(0.0, last - statistics.median(between))
    each = [a / b + saved / (_INTERVAL * without) for a, b in zip(between, plain.processor, strict=False)]
    value = f"{statistics.median(each):.3f} ({min(each):.3f}-{max(each):.3f})"
    on_the_clock = statistics.median(plain.wall) / steps
    note = f"a step takes {on_the_clock:.1f} s, {without:.1f} of the processor; a checkpoint {saved:.1f}"
    name = f"{size / 1e6:.0f} MB state, long steps, k = {_INTERVAL} ({every})"
    yield Line(name, value, "1.02", note)

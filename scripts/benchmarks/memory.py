"""The memory of a replay is measured in states: how many arrays of a state's size are there at its peak."""

from __future__ import annotations

import gc
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from benchmarks.table import Line, needs_data
from pol_jax import Choices, Task, load_task, train
from pol_jax.progress import Silent
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Span
from pol_jax.verifying.checks import check_files_to_states
from pol_jax.verifying.replay import Replayer


def measure(_: bool, data_dir: Path | None) -> Iterator[Line]:
    """Replay a small and a large network."""
    for name in ("digits", "cifar10"):
        if name != "digits" and data_dir is None:
            yield needs_data(name)
            continue
        task = load_task(name, data_dir=data_dir)
        with tempfile.TemporaryDirectory() as folder:
            yield _line(name, task, Path(folder, "proof"))


def _line(name: str, task: Task, out: Path) -> Line:
    train(task, out, steps=40, choices=Choices(interval=20))
    checked, memory = check_files_to_states(out, Limits()), _Memory()
    replayer = Replayer(checked, task.source, None, memory)
    list(replayer.replay([Span(0, 20)]))  # compiles, and remembers records
    gc.collect()
    memory.begin("replaying", 40)
    assert all(each.exact for each in replayer.replay([Span(0, 20), Span(20, 40)]))  # noqa: S101
    memory.end()
    commitment = checked.proof.commitment
    state, record = nbytes(commitment.state), sum(leaf.nbytes for leaf in commitment.data.record)
    batch = record * commitment.schedule.batch_size
    note = f"{memory.peak / 1e6:.1f} MB less a batch of {batch / 1e6:.1f}; a state has {state / 1e6:.1f}"
    return Line(f"{name}: arrays of a replay, states", f"{(memory.peak - batch) / state:.1f}", "4", note)


class _Memory(Silent):
    """The most bytes of arrays that were seen at a step, less those that were there at the beginning.

    numpy's arrays are counted by tracemalloc, jax's by its own list of live arrays.
    """

    peak = 0

    def begin(self, what: str, total: int, done: int = 0) -> None:
        tracemalloc.start()
        self._before, self.peak = self._bytes(), 0

    def at(self, done: int, loss: float | None = None) -> None:
        if tracemalloc.is_tracing():
            self.peak = max(self.peak, self._bytes() - self._before)

    def end(self) -> None:
        tracemalloc.stop()

    def _bytes(self) -> int:
        arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
        host = sum(each.size for each in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
        return host + sum(int(array.nbytes) for array in jax.live_arrays())

"""The memory of a replay is measured in states: how many arrays of a state's size are there at its peak.

That of a whole verification of a state that is too large to be kept is what the system says of a process of its own.
"""

from __future__ import annotations

import gc
import math
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.processes import output_of, peak_bytes, reset_peak
from benchmarks.table import Line, needs_data
from pol_jax import AllSegments, Arrays, Choices, Task, load_task, train
from pol_jax.progress import Silent
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Span
from pol_jax.reports.outcomes import Mode
from pol_jax.verifying.checks import check_files_to_states
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.replay import Replayer
from pol_jax.verifying.request import ProofRequest


def measure(_: bool, data_dir: Path | None) -> Iterator[Line]:
    """Replay a small and a large network."""
    for name in ("digits", "cifar10"):
        if name != "digits" and data_dir is None:
            yield needs_data(name)
            continue
        task = load_task(name, data_dir=data_dir)
        with tempfile.TemporaryDirectory() as folder:
            yield _line(name, task, Path(folder, "proof"))
    yield from _verification()


def _verification() -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        for what, code in (("training", "train_large"), ("verification", "verify_large")):
            printed = output_of(sys.executable, "-c", f"from benchmarks.memory import {code}; {code}({folder!r})")
            beyond, state = map(int, printed.split()[-2:])
            limit = (3 * state + 2e8) / 1e6  # the state itself, which on CPUs lies in the same memory, and two more
            note = f"beyond what was there before; a state has {state / 1e6:.0f} MB"
            yield Line(f"{state / 1e6:.0f} MB state, {what}: memory", f"{beyond / 1e6:.0f} MB", f"{limit:.0f} MB", note)


def train_large(folder: str) -> None:
    """Train a large state, and print the peak memory beyond that of an empty run, and the state's size."""
    task = _large()
    train(_large(elements=8), Path(folder, "empty"), choices=_CHOICES)
    _print_peak(lambda: train(task, Path(folder, "proof"), choices=_CHOICES), task)


def verify_large(folder: str) -> None:
    """Verify what `train_large` left, and print the same."""
    task = _large()
    small = _large(elements=8)
    _verify(Path(folder, "empty"), small)
    _print_peak(lambda: _verify(Path(folder, "proof"), task), task)


_CHOICES: Final = Choices(interval=2, witness_interval=2)


def _verify(path: Path, task: Task) -> None:
    request = ProofRequest(path=str(path), policy=AllSegments(), nonce=b"n" * 16, any_program=True)
    report = ProofVerifier(request, task.source).run()
    assert report.mode is Mode.BITS, report.reasons  # noqa: S101


def _print_peak(act: Callable[[], object], task: Task) -> None:
    gc.collect()
    reset_peak()
    before = peak_bytes()
    act()
    state = jax.eval_shape(task.init, jax.random.key(0))
    print(peak_bytes() - before, sum(math.prod(leaf.shape) * 4 for leaf in jax.tree.leaves(state)))


def _large(elements: int = 2**22) -> Task:
    """A state of 24 leaves, 403 MB in all, that a step only adds to."""

    def init(key: jax.Array) -> dict[str, jax.Array]:
        return {str(at): jax.random.normal(jax.random.fold_in(key, at), (elements,)) for at in range(24)}

    def step(
        state: dict[str, jax.Array], batch: dict[str, jax.Array], _key: jax.Array
    ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        mean = jnp.mean(batch["x"])
        return {name: leaf * 0.99 + mean for name, leaf in state.items()}, {"loss": mean + state["0"][0]}

    return Task("large", init, step, Arrays({"x": np.ones((8, 1), np.float32)}), batch_size=2, steps=4)


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

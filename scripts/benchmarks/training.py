"""Training with a proof is compared with the same loop without one, and a replay with training."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax

from benchmarks.plain_training import FOREVER, train_plainly
from benchmarks.spent import Spent
from benchmarks.table import Line, needs_data, ratios
from pol_jax import Choices, Recording, Task, load_task, open_proof
from pol_jax.progress import Silent
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Span, routes
from pol_jax.training.inputs import step_inputs
from pol_jax.training.loop import run
from pol_jax.verifying.checks import check_files_to_states
from pol_jax.verifying.replay import Replayer

Pairs = tuple[Spent, Spent]
"""Rounds with a proof, and those without one that followed each of them."""


@dataclass(frozen=True)
class Plan:
    """A plan says how a task is measured.

    Attributes:
        task: a built-in task.
        rounds: how often training with and without a proof take turns.
        steps: of a round.
        interval: between checkpoints.
        segments: that are replayed in each round.
        limit: on the ratio of training with a proof to training without one; "" for none.
    """

    task: str
    rounds: int
    steps: int
    interval: int
    segments: int
    limit: str

    def __call__(self, quick: bool, data_dir: Path | None) -> Iterator[Line]:
        """Measure training, replay and bytes."""
        if self.task != "digits" and data_dir is None:
            yield needs_data(self.task)
            return
        task, rounds = load_task(self.task, data_dir=data_dir), 2 if quick else self.rounds
        with tempfile.TemporaryDirectory() as folder:
            yield from _measure(self, task, rounds, Path(folder, "proof"))


PLANS = {
    "digits": Plan("digits", 15, 400, 100, 3, "1.10"),
    "cifar10": Plan("cifar10", 2, 30, 30, 1, "1.01"),
    "shakespeare": Plan("shakespeare", 3, 60, 60, 1, ""),
}


def _measure(plan: Plan, task: Task, rounds: int, out: Path) -> Iterator[Line]:
    opening = time.perf_counter()
    recording = Recording(task, out, steps=rounds * plan.steps, choices=Choices(interval=plan.interval))
    opening = time.perf_counter() - opening
    with recording:
        proved, plain = _train_rounds(recording, task, rounds, plan.steps)
        closing = time.perf_counter()
    closing = time.perf_counter() - closing
    step = f"{1e3 * statistics.median(plain.wall) / plan.steps:.2f} ms a step"
    note = f"{step}; {proved.over(plain)}; {rounds} rounds of {plan.steps} steps"
    yield Line(f"{plan.task}: training with a proof / without", ratios(proved.wall, plain.wall), plan.limit, note)
    replayed, again = _replay_rounds(out, task, rounds, plan.segments)
    note = f"with checkpoints; {replayed.over(again)}"
    yield Line(f"{plan.task}: replay / training, per step", ratios(replayed.wall, again.wall), "1.05", note)
    size = _bytes_per_checkpoint(out) / nbytes(open_proof(out).commitment.state)
    yield Line(f"{plan.task}: proof bytes / state bytes, per checkpoint", f"{size:.3f}", "1.05")
    ends = f"{opening:.1f} s, {closing:.1f} s"
    yield Line(f"{plan.task}: opening a run, closing it", ends, "1.5 s", "each, once a run")


def _train_rounds(recording: Recording, task: Task, rounds: int, steps: int) -> Pairs:
    """Take turns between training with a proof and the same number of steps without one."""
    assert recording.follower is not None  # noqa: S101  # the recording is open
    inputs, others = iter(recording), step_inputs(recording.commitment, task.source, 1, FOREVER)
    # The first steps compile; the copy is needed because a step takes over the memory of the state that it is given.
    other = train_plainly(recording.program, tuple(leaf.copy() for leaf in recording.leaves), others, 5)
    jax.block_until_ready(recording.witness.layout.pack(other))
    state, proved, plain = recording.leaves, Spent(), Spent()
    for _ in range(rounds):
        with proved.timing():
            state = run(recording.program, state, itertools.islice(inputs, steps), recording.follower)
        with plain.timing():
            other = train_plainly(recording.program, other, others, steps)
    return proved, plain


def _replay_rounds(out: Path, task: Task, rounds: int, segments: int) -> Pairs:
    """Take turns between replaying segments and training for as many steps."""
    checked = check_files_to_states(out, Limits())
    replayer = Replayer(checked, task.source, None, Silent())
    others = step_inputs(checked.proof.commitment, task.source, 1, FOREVER)
    other = train_plainly(checked.program, checked.proof.leaves(0), others, 5)
    list(replayer.replay([Span(0, 2)]))  # compiles
    every = checked.proof.segments
    found = routes(map(every.span, range(min(segments, len(every)))), checked.proof.checkpoints())
    replayed, plain = Spent(), Spent()
    for _ in range(rounds):
        with replayed.timing():
            results = list(replayer.replay(route.span for route in found))
        assert all(result.exact for result in results)  # noqa: S101  # a wrong replay is no measurement
        with plain.timing():
            other = train_plainly(checked.program, other, others, sum(len(route.span.steps) for route in found))
    return replayed, plain


def _bytes_per_checkpoint(out: Path) -> float:
    """Return the bytes of the files that grow with a run, divided by the number of checkpoints."""
    files = (file for folder in ("checkpoints", "ledger") for file in (out / folder).rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files) / len(open_proof(out).checkpoints())

"""Measure what a proof costs, as ratios of runs that are interleaved in one process.

    python scripts/benchmark.py [--quick] [--data-dir DIR] [--only PART ...]

Prints one table. Absolute times are of this machine; the limits are for 2 cores. ``--data-dir`` is the TFDS data
directory for CIFAR-10 and Shakespeare; without it those two are left out, and the table says so.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import numpy as np

from pol_jax import Choices, ListedSegments, Recording, Source, Task, load_task, open_proof, train, verify
from pol_jax.program.artifact import Leaves, Program
from pol_jax.progress import Silent
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import batch_digest
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Piece, route
from pol_jax.storage.ledger import seal
from pol_jax.training.inputs import plan, step_inputs
from pol_jax.training.loop import run
from pol_jax.verifying.checks import check_files_to_states
from pol_jax.verifying.evidence import SELF_TEST_STEPS
from pol_jax.verifying.replay import Replayer

INTERVAL = 100


@dataclass(frozen=True)
class Line:
    """One line of the table: what was measured, its value, the most it may be, and what else there is to know."""

    what: str
    value: str
    limit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """How a task is measured: rounds of so many steps, segments replayed in each, the limit on the first ratio."""

    task: str
    rounds: int
    steps: int
    segments: int
    limit: str


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, a short ledger; for trying the script")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    print(f"{'':54} {'median (min-max)':>24} {'at most':>8}")
    for part in options.only:
        for line in PARTS[part](options.quick, options.data_dir):
            print(f"{line.what:54} {line.value:>24} {line.limit:>8}  {line.note}", flush=True)


def measure_task(plan: Plan, quick: bool, data_dir: Path | None) -> Iterator[Line]:
    """Training with a proof against the same loop without one; replay against training; bytes."""
    if plan.task != "digits" and data_dir is None:
        yield Line(plan.task, "not measured", "", "needs --data-dir")
        return
    task, rounds = load_task(plan.task, data_dir=data_dir), 2 if quick else plan.rounds
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "proof")
        opening = time.perf_counter()
        recording = Recording(task, out, steps=rounds * plan.steps, choices=Choices(interval=INTERVAL))
        opening = time.perf_counter() - opening
        with recording:
            proved, plain = _train_rounds(recording, task, rounds, plan.steps)
            closing = time.perf_counter()
        closing = time.perf_counter() - closing
        replayed, again = _replay_rounds(out, task, rounds, plan.segments)
        stored = sum(file.stat().st_size for file in out.rglob("*") if file.is_file() and _grows(file.relative_to(out)))
        checkpoints, state = len(open_proof(out).checkpoints()), nbytes(open_proof(out).commitment.state)
    note = f"{1e3 * statistics.median(plain) / plan.steps:.2f} ms a step; {rounds} rounds of {plan.steps} steps"
    yield Line(f"{plan.task}: training with a proof / without", _spread(proved, plain), plan.limit, note)
    yield Line(f"{plan.task}: replay / training, per step", _spread(replayed, again), "1.05", "with checkpoints")
    yield Line(f"{plan.task}: proof bytes / state bytes, per checkpoint", f"{stored / checkpoints / state:.3f}", "1.05")
    yield Line(f"{plan.task}: opening a run, closing it", f"{opening:.1f} s, {closing:.1f} s", "", "once a run")


def measure_thinned(quick: bool, _: Path | None) -> Iterator[Line]:
    """Bytes of a proof that keeps few of its checkpoints against one that keeps all."""
    task, steps, interval, every = load_task("digits"), 400 if quick else 2000, 20, 10
    sizes = []
    for keep_every in (every, 1):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "proof")
            train(task, out, steps=steps, keep_every=keep_every, choices=Choices(interval=interval))
            sizes.append(sum(file.stat().st_size for file in out.rglob("*") if file.is_file()))
    thinned, whole = sizes
    note = f"{thinned / steps:.0f} and {whole / steps:.0f} bytes a step; {steps} steps, interval {interval}"
    yield Line(f"digits: proof bytes, 1 checkpoint of {every} / all", f"{thinned / whole:.3f}", "", note)


def measure_ledger(quick: bool, _: Path | None) -> Iterator[Line]:
    """Opening a ledger of a million steps and finding one of them, in a process of its own."""
    steps = 10_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "proof")
        train(replace(load_task("digits"), batch_size=128), out, steps=1, choices=Choices(interval=INTERVAL))
        _write_long_ledger(out, steps)
        code = f"import runpy; runpy.run_path({__file__!r}, run_name='find')"
        seconds, memory = map(float, _output(sys.executable, "-c", code, str(out), str(steps - 77)).split())
        size = sum(file.stat().st_size for file in (out / "ledger").iterdir())
    yield Line(f"ledger of {steps:,} steps: finding one", f"{seconds:.2f} s", "2 s", f"{size / 1e6:.0f} MB of files")
    yield Line(f"ledger of {steps:,} steps: peak memory", f"{memory:.0f} MB", "500 MB", "jax and all")


def measure_verify(quick: bool, _: Path | None) -> Iterator[Line]:
    """What a verification costs beside its fixed start; the start with and without compiled programs from before.

    A start ends where the self-test does: imports, stages 1 to 7, compilation, ten steps.
    """
    rounds, segments, some, interval = 2 if quick else 7, 40, 10, INTERVAL
    with _proof_of_digits(segments * interval, interval) as (out, source, cache):
        training = [_train_alone(out, source, segments * interval) for _ in range(rounds)]
        costs, warm, cold = list[float](), list[float](), list[float]()
        for _ in range(rounds):
            shutil.rmtree(cache / "pol_jax" / "compiled", ignore_errors=True)
            cold.append(_verify(out, source, (0,)).start)
            found = _verify(out, source, tuple(range(1, segments, segments // some)))
            costs.append(found.replay), warm.append(found.start)
    share = [some / segments * seconds for seconds in training]
    note = f"{some} of {segments} segments of {interval} steps; less the fixed start"
    yield Line("digits: verification / share of training replayed", _spread(costs, share), "1.3", note)
    yield Line("digits: fixed start, compiled before", _seconds(warm), "5 s", "all files are checked in it")
    yield Line("digits: fixed start, nothing compiled", _seconds(cold))


def measure_jobs(quick: bool, _: Path | None) -> Iterator[Line]:
    """Two processes against one, where XLA has one thread for a step, and a step is long enough to keep it busy."""
    rounds, segments, interval = 2 if quick else 5, 20 if quick else 40, 50
    with _proof_of_digits(segments * interval, interval, "benchmark:busy", NPROC="1") as (out, source, _cache):
        _verify(out, source, (0,))
        pairs = [[_verify(out, source, range(segments), jobs).replay for jobs in (1, 2)] for _ in range(rounds)]
    ones, twos = zip(*pairs, strict=True)
    note = f"{segments} segments of {interval} steps; a worker's start included; should be at least 1.7"
    yield Line("digits, batch 512 on one core: --jobs 1 / --jobs 2", _spread(ones, twos), "", note)


def busy(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Digits with large batches, for ``pol train``."""
    return replace(load_task("digits", data_dir=data_dir, steps=steps), batch_size=512)


def measure_memory(_: bool, data_dir: Path | None) -> Iterator[Line]:
    """The arrays of a replay at their peak, in states: numpy's by tracemalloc, jax's by its list of live arrays."""
    for name in ("digits", "cifar10"):
        if name != "digits" and data_dir is None:
            yield Line(name, "not measured", "", "needs --data-dir")
            continue
        task = load_task(name, data_dir=data_dir)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "proof")
            train(task, out, steps=40, choices=Choices(interval=20))
            checked, memory = check_files_to_states(out, Limits()), _Memory()
            replayer = Replayer(checked, task.source, None, memory)
            list(replayer.replay([Piece(0, 20)]))  # compiles, and remembers records
            gc.collect()
            memory.begin("replaying", 40)
            assert all(each.exact for each in replayer.replay([Piece(0, 20), Piece(20, 40)]))  # noqa: S101
            memory.end()
            commitment = checked.proof.commitment
            state, record = nbytes(commitment.state), sum(leaf.nbytes for leaf in commitment.data.record)
        batch = record * commitment.schedule.batch_size
        note = f"{memory.peak / 1e6:.1f} MB less a batch of {batch / 1e6:.1f}; a state has {state / 1e6:.1f}"
        yield Line(f"{name}: arrays of a replay, states", f"{(memory.peak - batch) / state:.1f}", "4", note)


class _Memory(Silent):
    """Bytes of arrays beside those that were there at the beginning: the most that was seen at a step."""

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
        own = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
        host = sum(each.size for each in tracemalloc.take_snapshot().filter_traces([own]).traces)
        return host + sum(array.nbytes for array in jax.live_arrays())


@dataclass
class _Timed(Silent):
    """Seconds of a verification: up to the end of its self-test, and from there."""

    steps: int
    begun: float = field(default_factory=time.perf_counter)
    start: float = 0
    replay: float = 0

    def at(self, done: int, loss: float | None = None) -> None:
        if done == self.steps:
            self.start = time.perf_counter() - self.begun


def _verify(out: Path, source: Source, segments: Sequence[int], jobs: int = 1) -> _Timed:
    """Verify segments in a process of its own, as ``pol verify`` does."""
    timed = _Timed(SELF_TEST_STEPS)
    report = verify(out, source, policy=ListedSegments(tuple(segments)), progress=timed, jobs=jobs)
    assert report, report.reasons  # noqa: S101
    timed.replay = time.perf_counter() - timed.begun - timed.start
    return timed


@contextmanager
def _proof_of_digits(
    steps: int, interval: int, task: str = "digits", **settings: str
) -> Iterator[tuple[Path, Source, Path]]:
    """A proof that was made, and is to be verified, in this environment, with an empty cache of compiled programs."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        source = load_task("digits").source
        os.environ |= {"XDG_CACHE_HOME": folder, "PYTHONPATH": str(Path(__file__).parent), **settings}
        try:
            size = ("--steps", str(steps), "--interval", str(interval))
            _output(sys.executable, "-m", "pol_jax.cli", "train", task, "--out", f"{folder}/proof", *size)
            yield Path(folder, "proof"), source, Path(folder)
        finally:
            os.environ.clear()
            os.environ.update(before)


def _train_alone(out: Path, source: Source, steps: int) -> float:
    """Seconds of so many steps without a proof."""
    proof = open_proof(out)
    program, inputs = proof.program(), step_inputs(proof.commitment, source, 1, 2**31)
    state = _plain(program, proof.leaves(0), inputs, 5)
    begun = time.perf_counter()
    _plain(program, state, inputs, steps)
    return time.perf_counter() - begun


def _seconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.1f} s ({min(times):.1f}-{max(times):.1f})"


def measure_start(quick: bool, _: Path | None) -> Iterator[Line]:
    """Import and help, as whole processes."""
    for what, code, limit in (
        ("import pol_jax", "import pol_jax", ""),
        ("pol --help", "from pol_jax.cli.main import main; import sys; sys.argv = ['pol', '--help']; main()", "0.5 s"),
    ):
        times = []
        for _round in range(3 if quick else 15):
            begun = time.perf_counter()
            _output(sys.executable, "-c", code)
            times.append(time.perf_counter() - begun)
        yield Line(what, f"{statistics.median(times):.2f} s", limit, f"{min(times):.2f}-{max(times):.2f} s")


def _train_rounds(recording: Recording, task: Task, rounds: int, steps: int) -> tuple[list[float], list[float]]:
    """Seconds of each round with a proof, and of the same number of steps without one."""
    inputs, others = iter(recording), step_inputs(recording.commitment, task.source, 1, 2**31)
    other = _plain(recording.program, tuple(leaf.copy() for leaf in recording.leaves), others, 5)  # compiles
    jax.block_until_ready(recording.witness.layout.pack(other))
    mine, proved, plain = recording.leaves, list[float](), list[float]()
    for _ in range(rounds):
        begun = time.perf_counter()
        mine = run(recording.program, mine, itertools.islice(inputs, steps), recording.following)
        proved.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        other = _plain(recording.program, other, others, steps)
        plain.append(time.perf_counter() - begun)
    return proved, plain


def _replay_rounds(out: Path, task: Task, rounds: int, each: int) -> tuple[list[float], list[float]]:
    """Seconds of the replay of a segment, and of as many steps of training without a proof."""
    checked = check_files_to_states(out, Limits())
    replayer = Replayer(checked, task.source, None, Silent())
    others = step_inputs(checked.proof.commitment, task.source, 1, 2**31)
    other = _plain(checked.program, checked.proof.leaves(0), others, 5)
    list(replayer.replay([Piece(0, 2)]))
    segments = checked.proof.segments
    pieces = route(range(min(each, len(segments))), segments, checked.proof.checkpoints())
    replayed, plain = list[float](), list[float]()
    for _ in range(max(2, rounds)):
        begun = time.perf_counter()
        results = list(replayer.replay(pieces))
        replayed.append((time.perf_counter() - begun) / len(results))
        assert all(result.exact for result in results)  # noqa: S101  # a wrong replay is no measurement
        begun = time.perf_counter()
        other = _plain(checked.program, other, others, INTERVAL)
        plain.append(time.perf_counter() - begun)
    return replayed, plain


def _plain(program: Program, state: Leaves, inputs: Iterator, steps: int) -> Leaves:
    """The loop without a proof: the same program, the same inputs, nothing recorded."""
    for each in itertools.islice(inputs, steps):
        state, _ = program.step(state, each.batch, each.key)
    return jax.block_until_ready(state)


def _spread(mine: Sequence[float], other: Sequence[float]) -> str:
    """Median, least and largest of the ratios of each pair."""
    ratios = sorted(a / b for a, b in zip(mine, other, strict=True))
    return f"{statistics.median(ratios):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})"


def _grows(name: Path) -> bool:
    """Whether a file belongs to a checkpoint or to the ledger, and not to what a proof has once."""
    return name.parts[0] in ("checkpoints", "ledger")


def _write_long_ledger(out: Path, steps: int) -> None:
    """Segments with the true keys and indices, and digests of nothing: opening doesn't check them."""
    proof = open_proof(out)
    nothing, digests = batch_digest([]), np.random.default_rng(0).bytes(32 * INTERVAL)
    for segment, start in enumerate(range(0, steps, INTERVAL)):
        rows = [
            Row(step, key.tobytes(), indices, nothing, digests[32 * at : 32 * at + 32], b"\0\0\0\0")
            for at, (step, key, indices) in enumerate(plan(proof.commitment, start + 1, start + INTERVAL + 1))
        ]
        first = [Row(0, b"\0" * 8, rows[0].indices[:0], nothing, nothing, None)] if segment == 0 else []
        seal(out, segment, first + rows)
    claim = proof.claim
    assert claim is not None  # noqa: S101
    longer = {name: getattr(claim, name) for name in claim.__struct_fields__} | {"steps": steps}
    (out / "claim.json").write_bytes(encode(Claim(**longer)))


def find_step() -> None:
    """Open a proof, find a row; print seconds and peak megabytes."""
    begun = time.perf_counter()
    assert open_proof(sys.argv[1]).row(int(sys.argv[2])).step == int(sys.argv[2])  # noqa: S101
    print(time.perf_counter() - begun, _peak_megabytes())


def _peak_megabytes() -> float:
    """Of this process alone: what getrusage says is the peak of whoever started it, where that is larger."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1000


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _task(plan: Plan) -> Callable[[bool, Path | None], Iterator[Line]]:
    return lambda quick, data_dir: measure_task(plan, quick, data_dir)


PARTS = {
    "digits": _task(Plan("digits", 15, 400, 3, "1.15")),
    "cifar10": _task(Plan("cifar10", 3, 100, 1, "1.02")),
    "shakespeare": _task(Plan("shakespeare", 4, 100, 1, "")),
    "thinned": measure_thinned,
    "ledger": measure_ledger,
    "start": measure_start,
    "verify": measure_verify,
    "jobs": measure_jobs,
    "memory": measure_memory,
}

if __name__ == "__main__":
    main()
elif __name__ == "find":
    find_step()

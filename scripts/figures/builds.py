"""These figures show the same steps in other compilations, processes, instruction sets, versions; and their speed."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from figures.bench import Bench, State, along
from figures.elsewhere import given_arrays, run_elsewhere
from figures.errors import NAMES, Setup, point
from figures.points import Point
from figures.recipes import small
from pol_jax.protocol.documents import encode
from pol_jax.training.inputs import StepInput

SAME, ONE_CORE = "same build, same process", "same build, one core"
ROUNDS = 10
PROCESSES: Mapping[str, Mapping[str, str]] = {
    "same build, other process": {},
    ONE_CORE: {"ONE_CORE": "1"},
    "Eigen on one thread": {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"},
    "AVX2": {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"},
    "SSE4.2": {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"},
}


def builds(setup: Setup) -> Iterator[Point]:
    """Measure the error after one and ten steps in every build that is at hand."""
    for name, bench, at, before in _benches(setup):
        lengths = (1, 2) if setup.quick else (1, 10)
        inputs = bench.inputs(0, at, lengths[-1])
        reference = dict(along(bench.made.reference, before, inputs, lengths))
        for length, state in along(bench.made.reference, before, inputs, lengths):
            yield point(
                NAMES[name], _series(length, at), SAME, SAME, bench.difference(before, reference[length], state)
            )
        for build, found in _elsewhere(setup, bench, before, inputs, lengths):
            for length in lengths:
                leaves = [found[f"after.{length}.{leaf}"] for leaf in range(len(before))]
                difference = bench.difference(before, reference[length], leaves)
                yield point(NAMES[name], _series(length, at), build, build, difference)
        for build, length, difference in bench.differences(before, inputs, lengths):
            yield point(NAMES[name], _series(length, at), build, build, difference)


def speed(setup: Setup) -> Iterator[Point]:
    """Measure the milliseconds of a step in every build that is at hand: the fastest of ten short runs."""
    for name, bench, at, before in _benches(setup):
        if at == 0:
            continue
        inputs = bench.inputs(0, at, 20 if name == "digits" else 2)
        every, times = (bench.made.reference, *bench.made.others), defaultdict[str, list[float]](list)
        for _ in range(ROUNDS):  # interleaved: whoever else uses the machine disturbs all of them
            for each in every:
                begun = time.perf_counter()
                each.run(before, inputs)
                times[each.variant.name].append((time.perf_counter() - begun) / len(inputs))
        for build, found in _elsewhere(setup, bench, before, inputs, (len(inputs),), ROUNDS):
            times[build].append(float(found["seconds"]))
        for build, seconds in times.items():
            yield Point(NAMES[name], "step", build, build, 1e3 * min(seconds))


def _benches(setup: Setup) -> Iterator[tuple[str, Bench, int, State]]:
    """Yield for each task two steps: its name, its bench, the number of the step and the state after it."""
    if setup.other_python is None:
        setup.left_out.append("another jaxlib: needs --other-python")
        print("skipped: another jaxlib: needs --other-python")
    for name in ("digits",) if setup.quick else ("digits", "cifar10", "shakespeare"):
        if setup.has(name):
            late = 5 if setup.quick else 30
            bench = Bench.of(small(name, setup.data_dir, 200))
            setup.note(f"{NAMES[name]}: batch {bench.task.batch_size}, from the start and from step {late} of 200")
            for at, before in bench.states(0, (0, late)).items():
                yield name, bench, at, before


def _elsewhere(
    setup: Setup, bench: Bench, before: State, inputs: Sequence[StepInput], lengths: Sequence[int], rounds: int = 0
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Run the same steps in other processes; yield each build's name and what it found, timed in so many rounds."""
    files = {
        "commitment": encode(bench.commitment),
        "init": bench.artifacts.init,
        "step": bench.artifacts.step,
    }
    arrays = given_arrays(before, [each.key for each in inputs], [each.batch for each in inputs], list(lengths), rounds)
    for build, changed in PROCESSES.items():
        if build != ONE_CORE or hasattr(os, "sched_setaffinity"):
            yield build, run_elsewhere(sys.executable, changed, files, arrays)
    if setup.other_python is not None:
        found = run_elsewhere(setup.other_python, {}, files, arrays)
        yield f"jaxlib {found['jaxlib']}", found


def _series(length: int, at: int) -> str:
    return f"k = {length} from step {at}"

"""These figures show the reproduction error: how far the results of the same steps differ between compilations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import optax

from figures.bench import Bench, Difference, State, along
from figures.points import Point
from figures.recipes import BATCH, DIGITS, RESNET20, RESNET50, SMOOTH20, Recipe, small, two_pass
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.protocol.trees import DTYPES
from pol_jax.verifying.compilations import DEFAULT, variants

NAMES = {"digits": "CNN on digits", "cifar10": "ResNet-20 on CIFAR-10", "shakespeare": "transformer on Shakespeare"}


FEW: Final = tuple(each for each in variants("cpu") if each.name in ("default", "fast math", "no fusion"))
"""The figures that compile many programs use these compilations."""


@dataclass
class Setup:
    """A figure is measured with these settings, which also collect what must be said of it.

    Attributes:
        quick: with the settings of tests.
        data_dir: TFDS data directory; None leaves out all but digits.
        other_python: a Python with another jax; None leaves it out.
        settings: what was run.
        left_out: what was not run, and why.
    """

    quick: bool = False
    data_dir: Path | None = None
    other_python: str | None = None
    settings: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Return whether a task's data are at hand, and print that it is skipped if not."""
        if name == "digits" or self.data_dir is not None:
            return True
        line = f"{NAMES[name]}: needs --data-dir"
        if line not in self.left_out:
            self.left_out.append(line)
            print(f"skipped: {line}", flush=True)
        return False

    def note(self, line: str) -> None:
        """Note and print what is run."""
        self.settings.append(line)
        print(line, flush=True)

    def source(self, name: str) -> Any:
        """Return the records of a task."""
        return small(name, self.data_dir, 1).source


def point(panel: str, series: str, x: float | str, build: str, found: Difference) -> Point:
    """Make a point whose value is the relative error."""
    return Point(panel, series, x, build, found.relative, found.l1, found.l2, found.linf, found.cosine, found.update)


def interval(setup: Setup) -> Iterator[Point]:
    """Measure the error against k, at the start, in the middle and at the end of training."""
    plans: dict[str, tuple[int, tuple[int, ...]]]
    plans = {"digits": (600, (1, 2, 5, 10, 23, 50, 100)), "cifar10": (200, (1, 2, 5, 10, 20, 40, 63))}
    plans["shakespeare"] = (200, (1, 2, 5, 10, 20, 50, 100))
    if setup.quick:
        plans = {"digits": (10, (1, 2, 5))}
    for name, (steps, lengths) in plans.items():
        if not setup.has(name):
            continue
        bench = Bench.of(small(name, setup.data_dir, steps))
        epoch = len(bench.task.source) / bench.task.batch_size
        setup.note(f"{NAMES[name]}: {steps} steps of batch {bench.task.batch_size}, an epoch is {epoch:.3g} steps")
        for at, before in bench.states(0, (0, steps // 2, steps)).items():
            inputs = bench.inputs(0, at, lengths[-1])
            series = {0: "start", steps: "end"}.get(at, "middle")
            for build, length, found in bench.differences(before, inputs, lengths):
                yield point(NAMES[name], series, length, build, found)


def learning_rate(setup: Setup) -> Iterator[Point]:
    """Measure the error after ten steps against the learning rate."""
    plans = [(DIGITS, (0.001, 0.01, 0.1, 0.3, 1.0), (0, 1, 2)), (RESNET20, (0.01, 0.1, 1.0), (0,))]
    if setup.quick:
        plans = [(DIGITS, (0.01, 0.1), (0,))]
    for recipe, rates, seeds in plans:
        varied = [(rate, replace(recipe, rate=rate)) for rate in rates]
        yield from _over(setup, recipe, varied, seeds, "SGD with momentum 0.9 at a constant rate")


def batch_size(setup: Setup) -> Iterator[Point]:
    """Measure the error after ten steps against the batch size."""
    plans = [(DIGITS, (8, 32, 128, 512), (0, 1, 2)), (RESNET20, (8, 32, 64), (0,))]
    if setup.quick:
        plans = [(DIGITS, (8, 32), (0,))]
    for recipe, sizes, seeds in plans:
        varied = [(size, replace(recipe, batch=size)) for size in sizes]
        yield from _over(setup, recipe, varied, seeds, "SGD with momentum 0.9, rate 0.1")


def _over(
    setup: Setup, recipe: Recipe, varied: Sequence[tuple[float, Recipe]], seeds: Sequence[int], what: str
) -> Iterator[Point]:
    """Measure the error after ten steps, from the start and from a later state, against a number that is varied."""
    if not setup.has(recipe.name):
        return
    source, late, k = setup.source(recipe.name), 5 if setup.quick else 30, 2 if setup.quick else 10
    setup.note(f"{NAMES[recipe.name]}: {what}, batch {recipe.batch} unless varied; k = {k}; {len(seeds)} seeds")
    for x, each in varied:
        bench = Bench.of(each.task(source), FEW)
        for seed in seeds:
            for at, before in bench.states(seed, (0, late)).items():
                for build, _, found in bench.differences(before, bench.inputs(seed, at, k), (k,)):
                    yield point(NAMES[recipe.name], f"from step {at}", x, build, found)


def optimizer(setup: Setup) -> Iterator[Point]:
    """Measure the error after one and after ten steps, by optimizer."""
    kinds = {
        "SGD": (optax.sgd, 0.1),
        "momentum": (lambda rate: optax.sgd(rate, momentum=0.9), 0.1),
        "Adam": (optax.adam, 1e-3),
    }
    for recipe, seeds in ((DIGITS, (0, 1, 2)), (RESNET20, (0,))):
        if not setup.has(recipe.name):
            continue
        varied = [(name, replace(recipe, optimizer=kind, rate=rate)) for name, (kind, rate) in kinds.items()]
        tasks = [(name, each.task(setup.source(recipe.name))) for name, each in varied]
        setup.note(f"{NAMES[recipe.name]}: rate 0.1, Adam's 0.001; batch {recipe.batch}; {len(seeds)} seeds")
        yield from _by_name(setup, NAMES[recipe.name], tasks, seeds)


def architecture(setup: Setup) -> Iterator[Point]:
    """Measure the error after one and after ten steps, by architecture."""
    tasks = [("CNN", DIGITS.task(setup.source("digits")))]
    if setup.has("cifar10") and not setup.quick:
        images = setup.source("cifar10")
        tasks += [("ResNet-20", RESNET20.task(images)), ("ResNet-50, narrow", RESNET50.task(images))]
    if setup.has("shakespeare") and not setup.quick:
        tasks += [("transformer", small("shakespeare", setup.data_dir, 100))]
    setup.note(
        f"SGD with momentum 0.9, rate 0.1 (transformer: AdamW, 0.003 after 20 steps); batch {BATCH} (CNN: 64); "
        "ResNet-50 with 16 to 128 channels in its 3x3 convolutions instead of 64 to 512"
    )
    yield from _by_name(setup, "", tasks, (0,))


def _by_name(setup: Setup, panel: str, tasks: Sequence[tuple[str, Any]], seeds: Sequence[int]) -> Iterator[Point]:
    late, lengths = (5, (1, 2)) if setup.quick else (30, (1, 10))
    for name, task in tasks:
        bench = Bench.of(task, FEW)
        for seed in seeds:
            for at, before in bench.states(seed, (0, late)).items():
                for build, length, found in bench.differences(before, bench.inputs(seed, at, lengths[-1]), lengths):
                    yield point(panel, f"k = {length} from step {at}", name, build, found)


def precision(setup: Setup) -> Iterator[Point]:
    """Measure the error of a replay on the same build between states that were stored in fewer bits."""
    plans = {"digits": (100, (1, 2, 5, 10, 23, 50, 100)), "cifar10": (50, (1, 2, 5, 10, 20, 50))}
    if setup.quick:
        plans = {"digits": (5, (1, 2, 5))}
    for name, (at, lengths) in plans.items():
        if not setup.has(name):
            continue
        bench = Bench.of(small(name, setup.data_dir, 200), (DEFAULT,))
        before, inputs = bench.states(0, (at,))[at], bench.inputs(0, at, lengths[-1])
        setup.note(f"{NAMES[name]}: from step {at} of 200, batch {bench.task.batch_size}")
        true = dict(along(bench.made.reference, before, inputs, lengths))
        for dtype in ("float32", "float16", "bfloat16"):
            replayed = along(bench.made.reference, _stored(bench, before, dtype), inputs, lengths)
            for length, state in replayed:
                found = bench.difference(before, _stored(bench, true[length], dtype), state)
                yield point(NAMES[name], dtype, length, "default", found)


def _stored(bench: Bench, state: State, dtype: str) -> State:
    """Return a state whose floating-point leaves were stored as ``dtype``."""
    pairs = zip(bench.program.signature.state, state, strict=True)
    return [leaf.astype(DTYPES[dtype]).astype(leaf.dtype) if is_floating(s.dtype) else leaf for s, leaf in pairs]


def batch_norm(setup: Setup) -> Iterator[Point]:
    """Measure the error of the first steps, by the formula of the variance in batch norm."""
    yield from _single_steps(setup, {"E[x²] - E[x]²": RESNET20, "E[(x - E[x])²]": two_pass(RESNET20)})


def activation(setup: Setup) -> Iterator[Point]:
    """Measure the error of the first steps, with ReLU and with a smooth activation in its place."""
    yield from _single_steps(setup, {"ReLU": RESNET20, "SiLU": SMOOTH20})


def _single_steps(setup: Setup, varied: dict[str, Recipe]) -> Iterator[Point]:
    if not setup.has("cifar10"):
        return
    first, later = ([0, 1], []) if setup.quick else ([*range(12)], [*range(40, 48)])
    setup.note(
        f"ResNet-20 on CIFAR-10: SGD with momentum 0.9, rate 0.1, batch {BATCH}; one step from each state, and all of "
        f"the first {len(first)} from the first one"
    )
    for name, recipe in varied.items():
        bench = Bench.of(recipe.task(setup.source("cifar10")))
        states = bench.states(0, [*first, *later])
        for at, before in states.items():
            for build, _, found in bench.differences(before, bench.inputs(0, at, 1), (1,)):
                yield point("each from the reference's state" if at < 12 else "later ones", name, at + 1, build, found)
        for build, length, found in bench.differences(
            states[0], bench.inputs(0, 0, len(first)), [k + 1 for k in first]
        ):
            yield point("one after the other", name, length, build, found)

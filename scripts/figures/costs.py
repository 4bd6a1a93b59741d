"""These figures show d_ref, and what a proof and its verification cost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from d_ref import d_ref

from figures.bench import Bench
from figures.errors import NAMES, Setup
from figures.points import Point
from figures.recipes import small
from pol_jax import Choices, TopSegments, load_task, train
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.request import ProofRequest

AUTHORS: Final = {"cifar10": 71.5, "cifar100": 58.1}
"""The paper's authors configure their attacks with this d_ref in l2, of fully trained ResNet-20 and ResNet-50."""


def reference_distance(setup: Setup) -> Iterator[Point]:
    """Measure d_ref of each task, and beside it the largest reproduction error of ten steps, as l2 distances."""
    plans = {"digits": 600, "cifar10": 200, "shakespeare": 200}
    for name, steps in plans.items():
        if not setup.has(name):
            continue
        steps = 10 if setup.quick else steps
        task = small(name, setup.data_dir, steps)
        setup.note(f"{NAMES[name]}: trained twice for {steps} steps of batch {task.batch_size}")
        whole, parameters = d_ref(task, steps)
        for series, found in (("d_ref, parameters", parameters), ("d_ref, all leaves", whole)):
            yield Point("", series, NAMES[name], series, found["l2"], **found)
        bench, k = Bench.of(task), 2 if setup.quick else 10
        before = bench.states(0, (0, steps // 2))
        errors = [
            (found.l2, build, found)
            for at, state in before.items()
            for build, _, found in bench.differences(state, bench.inputs(0, at, k), (k,))
        ]
        _, build, largest = max(errors, key=lambda each: each[0])
        series = f"largest error, k = {k}"
        yield Point("", series, NAMES[name], build, largest.l2, largest.l1, largest.l2, largest.linf, largest.cosine)
    series = "d_ref, by its authors"
    yield Point("", series, NAMES["cifar10"], series, AUTHORS["cifar10"])
    yield Point("", series, "ResNet-50 on CIFAR-100", series, AUTHORS["cifar100"])


def cost(setup: Setup) -> Iterator[Point]:
    """Measure bytes a step against k, and the share of steps that a verification replays against Q."""
    steps, intervals = (60, (5, 20)) if setup.quick else (230, (2, 5, 10, 23, 100))
    setup.note(f"{NAMES['digits']}: {steps} steps of batch 64, 22.5 an epoch")
    for k in intervals:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "proof")
            task = load_task("digits", steps=steps)
            train(task, out, choices=Choices(interval=k))
            stored = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
            checkpoints = sum(file.stat().st_size for file in (out / "checkpoints").rglob("*") if file.is_file())
            yield Point("bytes a step", "whole proof", k, "default", stored / steps)
            yield Point("bytes a step", "checkpoints", k, "default", checkpoints / steps)
            for q in (1,) if setup.quick else (1, 2, 5, 10):
                report = ProofVerifier(ProofRequest(path=str(out), policy=TopSegments(q)), task.source).run()
                assert report, report.reasons  # noqa: S101
                assert report.coverage is not None  # noqa: S101
                series, replayed = f"k = {k}", report.coverage.steps_replayed / steps
                yield Point("share of steps replayed", series, q, "default", replayed)

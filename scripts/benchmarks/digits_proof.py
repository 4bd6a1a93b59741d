"""Proofs of digits are made and verified in processes of their own, as the command line does."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.processes import output_of
from pol_jax import ListedSegments, Source, Task, load_task, verify
from pol_jax.progress import Silent
from pol_jax.verifying.challenged_segments import SELF_TEST_STEPS


def busy(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return digits with batches so large that a step keeps a processor busy; for ``pol train``."""
    return replace(load_task("digits", data_dir=data_dir, steps=steps), batch_size=512)


@contextmanager
def proof_of_digits(
    steps: int, interval: int, task: str = "digits", **settings: str
) -> Iterator[tuple[Path, Source, Path]]:
    """Make a proof, to be verified in the same environment, with an empty cache of compiled programs.

    Args:
        steps: of the training.
        interval: between its checkpoints.
        task: for ``pol train``; its records are those of digits.
        settings: further environment variables.

    Yields:
        The proof's directory, the source of its records, and the directory of caches.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        source = load_task("digits").source
        os.environ |= {"XDG_CACHE_HOME": folder, **settings}
        try:
            size = ("--steps", str(steps), "--interval", str(interval))
            output_of(sys.executable, "-m", "pol_jax.cli", "train", task, "--out", f"{folder}/proof", *size)
            yield Path(folder, "proof"), source, Path(folder)
        finally:
            os.environ.clear()
            os.environ.update(before)


@dataclass
class Timed(Silent):
    """The seconds of a verification up to the end of its self-test, and from there."""

    steps: int
    begun: float = field(default_factory=time.perf_counter)
    start: float = 0
    replay: float = 0

    def at(self, done: int, loss: float | None = None) -> None:
        """Note the time when the self-test is over: not every step is told of."""
        if done >= self.steps and not self.start:
            self.start = time.perf_counter() - self.begun


def time_verification(out: Path, source: Source, segments: Sequence[int], jobs: int = 1) -> Timed:
    """Verify segments in a process of its own, as ``pol verify`` does."""
    timed = Timed(SELF_TEST_STEPS)
    report = verify(out, source, policy=ListedSegments(tuple(segments)), progress=timed, jobs=jobs)
    assert report, report.reasons  # noqa: S101  # only an accepted proof is a measurement
    timed.replay = time.perf_counter() - timed.begun - timed.start
    return timed

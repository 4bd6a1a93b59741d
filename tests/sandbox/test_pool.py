"""Replay by several processes: the same report, bounded memory, and no worker takes the verification along."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tiny
import unsandboxed
from forge import Forger
from jaxtyping import Integer

import pol_jax
from pol_jax.progress import Silent
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify

NONCE = b"together"


class Watching(Silent):
    """Counts what it is told; does something once, when a step of the replay was reached."""

    def __init__(self, at: int = 0, action: Callable[[], None] = lambda: None) -> None:
        self.seen, self._at, self._action = list[int](), at, action

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Count the last work alone: on a slow machine, there is some before the replays that tells how far it is."""
        self.seen.clear()

    def at(self, done: int, loss: float | None = None) -> None:
        before = self.seen[-1] if self.seen else 0
        self.seen.append(done)
        if before < self._at <= done:
            self._action()


class Slow(pol_jax.Arrays):
    """Records that take their time, so that a replay is told of while others still run."""

    def records_at(self, indices: Integer[np.ndarray, " batch"]) -> Any:
        time.sleep(0.1)
        return super().records_at(indices)


def together(path: Path, jobs: int, progress: Silent | None = None, **options: Any) -> Report:
    source = options.pop("source", tiny.plain().source)
    return verify(path, source, policy=AllSegments(), nonce=NONCE, jobs=jobs, progress=progress, **options)


def test_report_is_that_of_one_process(plain_proof: Path) -> None:
    seen = Watching()
    report = together(plain_proof, 2, seen)
    assert report.verdict is Verdict.ACCEPTED
    assert report == unsandboxed.verify(plain_proof, tiny.plain().source, policy=AllSegments(), nonce=NONCE)
    assert seen.seen == sorted(set(seen.seen))
    assert seen.seen[-1] == tiny.INTERVAL + tiny.STEPS  # the self-test's too


def test_false_segments_are_met_by_several_processes(proof_copy: Path) -> None:
    forger = Forger(proof_copy)
    for step in (7, 19):
        forger.change(step, loss=b"\0\0\x80?")
    forger.write()
    report = together(proof_copy, 2)
    assert report == unsandboxed.verify(proof_copy, tiny.plain().source, policy=AllSegments(), nonce=NONCE)
    assert report.verdict is Verdict.REJECTED
    assert [replay.mismatch for replay in report.replays] == [None, 7, None, 19]


def test_records_that_are_not_the_committed_ones(plain_proof: Path) -> None:
    """Also where the self-test doesn't meet them, and the worker, who begins with the second segment, does."""
    points, place = tiny.points(), int(pol_jax.open_proof(plain_proof).row(8).indices[0])
    points["x"][place] += 1
    report = together(plain_proof, 2, source=pol_jax.Arrays(points))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert (
        f"cannot judge with these records: record {place} of the source is not the committed one" in report.reasons[0]
    )


def test_steps_of_an_opening(plain_proof: Path, tmp_path: Path, children: list[psutil.Process]) -> None:
    """Shared too; the report is that of one process, or says that a worker died."""
    steps = (3, 9, 20)
    opening = pol_jax.open_steps(pol_jax.open_proof(plain_proof), tiny.plain().source, steps)
    pol_jax.write_opening(tmp_path / "opening", opening)
    arguments = (plain_proof, tmp_path / "opening", ListedSteps(steps))
    seen = Watching()
    report = pol_jax.verify_opening(*arguments, jobs=2, progress=seen)
    assert report.verdict is Verdict.ACCEPTED
    assert report == unsandboxed.verify_opening(*arguments, b"")
    assert seen.seen[-1] == 3
    killed = Watching(1, signal_workers(children, signal.SIGKILL))
    report = pol_jax.verify_opening(*arguments, jobs=2, progress=killed)
    assert report.reasons == ("stage 9, replay: cannot judge here: a worker died of SIGKILL",)


def workers(children: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the child that was started last."""
    found: list[psutil.Process] = children[-1].children()
    return found


def signal_workers(children: list[psutil.Process], number: int) -> Callable[[], None]:
    def send() -> None:
        for worker in workers(children):
            worker.send_signal(number)

    return send


def test_death_of_a_worker_is_inconclusive(plain_proof: Path, children: list[psutil.Process]) -> None:
    watching = Watching(8, signal_workers(children, signal.SIGKILL))
    report = together(plain_proof, 2, watching, source=Slow(tiny.points()))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0] == "stage 9, replay: cannot judge here: a worker died of SIGKILL"
    assert [child.is_running() for child in children] == [False]


def test_silence_of_a_worker_is_inconclusive(plain_proof: Path, children: list[psutil.Process]) -> None:
    watching = Watching(8, signal_workers(children, signal.SIGSTOP))
    report = together(plain_proof, 2, watching, source=Slow(tiny.points()), bounds=Bounds(silence_seconds=5))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "said nothing for 5 s" in report.reasons[0]


def test_workers_are_confined_and_end_with_the_child(plain_proof: Path, children: list[psutil.Process]) -> None:
    found, restricted = list[psutil.Process](), list[bool]()

    def kill() -> None:
        found.extend(workers(children))
        if sys.platform == "linux":
            status = Path(f"/proc/{found[0].pid}/status").read_text()
            restricted.append("NoNewPrivs:\t1" in status and "Seccomp:\t2" in status)
        signal_workers(children, signal.SIGSTOP)()
        children[-1].kill()
        signal_workers_of(found, signal.SIGCONT)

    together(plain_proof, 2, Watching(8, kill), source=Slow(tiny.points()))
    _, alive = psutil.wait_procs(found, timeout=60)
    assert found
    assert all(restricted)
    assert not alive


def signal_workers_of(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        process.send_signal(number)


def test_no_jobs_are_refused(plain_proof: Path) -> None:
    with pytest.raises(pol_jax.PolError, match="jobs: 0, expected at least 1"):
        together(plain_proof, 0)

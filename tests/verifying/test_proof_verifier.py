"""Verification of a proof: an honest one is accepted, and what the verifier brings decides nothing."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import jax
import msgspec
import numpy as np
import pytest
import tiny
import unsandboxed
from forge import Forger, claim_of, undecided

from pol_jax.progress import Silent
from pol_jax.protocol.policies import TopSegments
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.proof import Proof
from pol_jax.training.records import Arrays

Verify = Callable[..., Report]


def test_the_honest_proof_is_accepted(plain_proof: Path, verify_plain: Verify) -> None:
    report = verify_plain(plain_proof)
    assert report
    assert report.verdict is Verdict.ACCEPTED
    assert {stage.outcome for stage in report.stages} == {Outcome.PASSED}
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.detection) == ((0, 1, 2, 3), 1.0)


def test_what_the_forger_leaves_alone_is_accepted(forger: Forger, verify_plain: Verify) -> None:
    before = forger.claim.digest()
    forger.write()
    assert claim_of(forger.root).digest() == before
    assert verify_plain(forger.root)


def test_other_records_than_the_committed(plain_proof: Path, verify_plain: Verify) -> None:
    points = tiny.points()
    points["x"][7, 3] += 1
    undecided(verify_plain(plain_proof, source=Arrays(points)), "cannot judge with these records", "record 7 ")


@pytest.mark.parametrize("wound", ["fewer", "more", "shape", "dtype", "leaves"])
def test_records_of_another_kind(plain_proof: Path, verify_plain: Verify, wound: str) -> None:
    points = tiny.points()
    x, label = points["x"], points["label"]
    sources: dict[str, Callable[[], dict[str, np.ndarray]]] = {
        "fewer": lambda: tiny.points(20),
        "more": lambda: tiny.points(41),
        "shape": lambda: {"label": label, "x": x[:, :-1]},
        "dtype": lambda: {"label": label, "x": x.astype(np.float16)},
        "leaves": lambda: {"x": x},
    }
    undecided(verify_plain(plain_proof, source=Arrays(sources[wound]())), "cannot judge with these records")


@pytest.mark.parametrize("function", ["init", "step"])
def test_a_program_that_cannot_run_here(
    plain_proof: Path, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def broken(*_: object) -> Any:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    load, changed = Proof.program, dict[str, Any]({function: broken})
    monkeypatch.setattr(Proof, "program", lambda self: dataclasses.replace(load(self), **changed))
    undecided(verify_plain(plain_proof), "cannot judge here", "RESOURCE_EXHAUSTED")


NONCE = b"a nonce of these tests"


def test_report_survives_its_json(plain_proof: Path) -> None:
    report = unsandboxed.verify(plain_proof, tiny.plain().source, nonce=NONCE)
    assert msgspec.json.decode(report.to_json(), type=Report) == report


@pytest.mark.parametrize("where", ["open_arrays", "StoredLeaves._checked"])
def test_machine_that_fails_rejects_nothing(where: str, plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory, open files, disks and threads are the verifier's affair."""
    for error in (
        MemoryError(),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.EMFILE, "Too many open files"),
        RuntimeError("can't start new thread"),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(f"pol_jax.storage.stored_leaves.{where}", fail)
        report = unsandboxed.verify(plain_proof, tiny.plain().source)
        assert report.verdict is Verdict.INCONCLUSIVE, error
        assert "stage 6, state digests: cannot judge here: this machine can't read" in report.reasons[0]


@pytest.mark.usefixtures("in_orbax")
def test_a_checkpoint_that_orbax_has_no_thread_for_is_not_damaged(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orbax doesn't say why it finds nothing."""
    from orbax.checkpoint import v1 as ocp

    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    def nothing(_: Path) -> SimpleNamespace:
        monkeypatch.setattr(Thread, "start", fail)
        return SimpleNamespace(metadata=None)

    monkeypatch.setattr(ocp, "metadata", nothing)
    report = unsandboxed.verify(plain_proof, tiny.plain().source)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "this machine can't read checkpoints/0000000000: can't start new thread" in report.reasons[0]


class Heard(Silent):
    """What a verification tells of work that takes long."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.open = 0

    def begin(self, what: str, total: int, done: int = 0) -> None:
        self.begun.append((what, total))
        self.open += 1

    def end(self) -> None:
        self.open -= 1


def test_every_long_stage_tells_how_far_it_is(
    plain_proof: Path, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large honest proof must not be taken for a process that has died: files, rows, checkpoints and steps count."""
    monkeypatch.setattr("pol_jax.progress.SECONDS_BETWEEN", 0)
    heard = Heard()
    assert verify_plain(plain_proof, progress=heard, policy=TopSegments(1))
    files = sum(path.is_file() for path in plain_proof.rglob("*")) - 1
    rows = tiny.STEPS + 1
    expected = [
        *(("digesting files", files), ("reading the ledger", rows), ("deriving keys and order", tiny.STEPS)),
        *(("digesting checkpoints", 5), ("measuring updates", 4)),
    ]
    assert heard.begun[:5] == expected
    assert [what for what, _ in heard.begun[5:]] == ["replaying"]
    assert heard.open == 0


def test_nothing_is_told_of_what_takes_no_time(
    plain_proof: Path, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pol_jax.progress.SECONDS_BETWEEN", 3600)
    heard = Heard()
    assert verify_plain(plain_proof, progress=heard)
    assert [what for what, _ in heard.begun] == ["replaying"]

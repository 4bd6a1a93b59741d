"""Backends are compared one after the other; one that is missing is not looked for twice, and no path is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from measured_backends import interpreter

from pol_jax.backends import comparison
from pol_jax.backends.comparison import compare_backends
from pol_jax.backends.description import Backend
from pol_jax.backends.overview import lines
from pol_jax.backends.runner import BackendEnvironment, BackendFailure, BackendRun
from pol_jax.backends.summary import meaning
from pol_jax.backends.workload import Workload
from pol_jax.progress import Silent


class Told(Silent):
    """What was told of the work."""

    def __init__(self) -> None:
        self.seen = list[tuple[str, int]]()

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Note how much there is."""
        self.seen.append((what, total))

    def at(self, done: int, loss: float | None = None) -> None:
        """Note how much is done."""
        self.seen.append(("at", done))

    def end(self) -> None:
        """Note the end."""
        self.seen.append(("end", 0))


def test_what_is_missing_is_not_looked_for_twice(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = list[str]()

    def run(backend: Backend, work: Path, _timeout: float) -> BackendFailure:
        assert work.is_file()
        ran.append(backend.name)
        return BackendFailure("missing" if backend.platform == "cuda" else "refused", "why " + "x" * 2000)

    monkeypatch.setattr(comparison, "run_backend", run)
    backends = [
        Backend("a", "cuda"),
        Backend("b", "cpu"),
        Backend("c", "cuda", ("--xla_flag=1",)),
        Backend("d", "cpu"),
        Backend("e", "cuda", python="/secret/python"),
    ]
    told = Told()
    found = compare_backends(workload, backends, machine="a host\n" + "x" * 300, progress=told)
    assert ran == ["a", "b", "d", "e"], "another interpreter may have what this one lacks"
    assert [each.backend.name for each in found.outcomes] == ["a", "b", "c", "d", "e"]
    assert [each.status for each in found.outcomes] == ["missing", "refused", "missing", "refused", "missing"]
    assert {each.backend.python for each in found.outcomes} == {None}
    assert {len(each.reason) for each in found.outcomes} == {1024}
    assert found.machine.startswith("a host\\n")
    assert len(found.machine) <= 256
    assert (found.claim, found.task) == (workload.claim, "tiny plain")
    assert told.seen == [("comparing backends", 5), *(("at", done) for done in range(1, 6)), ("end", 0)]


def test_states_that_were_not_asked_for_are_a_crash(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = BackendEnvironment("cpu", "", "cpu", 1, 1, "0.10.2", "0.10.2", "3.12.1")
    run: Any = lambda *_: BackendRun(environment, 1.0, 1.0, True, {})  # noqa: E731
    monkeypatch.setattr(comparison, "run_backend", run)
    (outcome,) = compare_backends(workload, [Backend("a", "cpu")]).outcomes
    assert outcome.status == "crashed"
    assert outcome.reason.startswith("its states are not those that were asked for: ")


def test_a_backend_may_not_take_for_ever(workload: Workload, tmp_path: Path) -> None:
    slow = Backend("slow", "cpu", python=interpreter(tmp_path / "slow", "exec sleep 60"))
    found = compare_backends(workload, [slow], timeout=0.2)
    assert (found.outcomes[0].status, found.outcomes[0].reason) == ("timed out", "took more than 0.2 s")
    assert list(meaning(lines((found,)))) == ["no backend ran: nothing was measured"]

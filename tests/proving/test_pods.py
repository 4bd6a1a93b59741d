"""Processes that train together: real ones, by gloo; and what they say to each other, by a store in memory."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import jax
import pytest
from sharded import INTERVAL, STEPS, records, started, trained

import pol_jax
from pol_jax.errors import ProcessError
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.storage.checkpoint_names import checkpoint_steps
from pol_jax.storage.proof import open_proof
from pol_jax.training import processes
from pol_jax.training.processes import Processes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes with two devices each that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "proof"
    first, second = trained(out, 2, 2)
    assert first == second == {"step": STEPS, "claim": claim_of(out)}
    return out


def claim_of(out: Path) -> str:
    claim = open_proof(out).claim
    assert claim is not None
    return claim.digest().hex()


def test_a_run_summed_by_gloo_is_verified_bit_for_bit(whole: Path) -> None:
    """The process that verifies has no network but its own, and four virtual devices of its own."""
    report = pol_jax.verify(whole, records(), policy=pol_jax.AllSegments(), exact=True)
    if "no network of its own" in report.stages[0].detail:
        pytest.skip("processes may have no namespaces here")
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS), report.reasons
    assert report.environment.collectives == "gloo"


def test_killed_in_a_step_and_continued_by_one_process(whole: Path, tmp_path: Path) -> None:
    """The same claim, to the last bit: gloo's sums depend on the mesh, and not on who has which device."""
    survivor, killed = trained(tmp_path, 2, 2, signal="SIGKILL", at=6, timeout=4)
    # gloo notices the broken connection, or all wait for each other until the timeout.
    assert re.search("process was lost|process 1 is silent|has not reported", survivor["error"]), survivor
    assert killed == {"error": "no word"}
    assert checkpoint_steps(tmp_path) == [0, INTERVAL]
    before = [row.encode() for row in open_proof(tmp_path).rows()]
    (refused,) = trained(tmp_path, 1, 4, gloo=False)
    assert "was begun on another backend (collectives: gloo against none)" in refused["error"]
    assert [row.encode() for row in open_proof(tmp_path).rows()] == before  # nothing was overwritten
    (continued,) = trained(tmp_path, 1, 4)
    assert continued == {"step": STEPS, "claim": claim_of(whole)}


@pytest.mark.parametrize("killed", [0, 1])
def test_killed_in_a_save_and_continued_by_four_processes(killed: int, whole: Path, tmp_path: Path) -> None:
    """The first process writes the ledger, and is the coordinator of jax too."""
    trained(tmp_path, 2, 2, killed_in_save=killed, timeout=4)
    assert checkpoint_steps(tmp_path) == [0]
    if killed == 0:
        continued = trained(tmp_path, 4, 1)
        assert continued == [{"step": STEPS, "claim": claim_of(whole)}] * 4


def test_notice_before_a_machine_is_taken_away(whole: Path, tmp_path: Path) -> None:
    """A checkpoint lies between those of the schedule, and is gone in the end."""
    first, second = trained(tmp_path, 2, 2, signal="SIGTERM", at=1, pause=0.4)
    assert first == second
    assert first["claim"] is None
    assert first["step"] in checkpoint_steps(tmp_path)
    assert trained(tmp_path, 2, 2) == [{"step": STEPS, "claim": claim_of(whole)}] * 2
    assert checkpoint_steps(tmp_path) == [0, INTERVAL, STEPS]


def test_a_process_that_falls_silent_ends_the_run(tmp_path: Path) -> None:
    with started(tmp_path, 2, 2, signal="SIGSTOP", at=5, timeout=2) as (first, second):
        _, errors = first.communicate(timeout=100)
        os.kill(second.pid, signal.SIGKILL)
    assert first.returncode == ProcessError.exit_code
    # The loop is some steps ahead of the rows: whichever waits first is named.
    assert re.search("pol_jax: (step [678] .*: process 1 is silent|process 1 has not reported step 6)", errors), errors
    assert open_proof(tmp_path).last_step == 5


class Store:
    """The key-value store of jax's coordination service, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self._changed = Condition()

    def key_value_set_bytes(self, key: str, value: bytes, allow_overwrite: bool = False) -> None:
        with self._changed:
            assert allow_overwrite or key not in self.values, key
            self.values[key] = value
            self._changed.notify_all()

    def blocking_key_value_get_bytes(self, key: str, milliseconds: int) -> bytes:
        with self._changed:
            if not self._changed.wait_for(lambda: key in self.values, milliseconds / 1000):
                raise jax.errors.JaxRuntimeError("DEADLINE_EXCEEDED: key not found")
            return self.values[key]

    def key_value_delete(self, key: str) -> None:
        with self._changed:
            del self.values[key]

    def key_value_dir_get_bytes(self, folder: str) -> list[tuple[str, bytes]]:
        with self._changed:
            return [(key, value) for key, value in self.values.items() if key.startswith(folder)]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> tuple[Processes, Processes, Store]:
    """Two processes that share a store and a thread of their own each."""
    monkeypatch.setattr(processes, "_LOOK_SECONDS", 0.05)
    store, found = Store(), list[Processes]()
    for index in range(2):
        each = Processes(timeout=0.3)
        vars(each).update(index=index, count=2, _client=store, _base="run")
        found.append(each)
    return found[0], found[1], store


def both(pair: Sequence[Any], act: Any) -> list[Any]:
    """What each of two processes gets, at the same time: a result or an error."""
    results: list[Any] = [None, None]

    def run(index: int) -> None:
        try:
            results[index] = act(pair[index])
        except (ProcessError, ValueError) as error:
            results[index] = error

    threads = [Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_all_get_what_the_first_one_decides(pair: tuple[Processes, Processes, Store]) -> None:
    def joined(process: Processes) -> bytes:
        return process.agree("it", str(process.index).encode(), b" and ".join)

    for _ in range(3):
        assert both(pair, joined) == [b"0 and 1"] * 2
    assert len(pair[2].values) == 1  # keys are deleted once they were read


def test_what_fails_at_the_first_one_fails_at_all(pair: tuple[Processes, Processes, Store]) -> None:
    def fail() -> None:
        raise ValueError("no room")

    first, second = both(pair, lambda process: process.first("the claim", fail))
    assert isinstance(first, ValueError)
    assert str(second) == "process 0 failed at the claim: no room"


def test_a_process_that_fails_is_named(pair: tuple[Processes, Processes, Store]) -> None:
    pair[1].fail(ValueError("no room"))
    with pytest.raises(ProcessError, match="process 1 failed: ValueError: no room"):
        pair[0].agree("step 3", b"", b"".join)


def test_a_process_that_does_not_report_is_named(pair: tuple[Processes, Processes, Store]) -> None:
    with pytest.raises(ProcessError, match=r"process 1 has not reported step 3 within 0\.3 s"):
        pair[0].agree("step 3", b"", b"".join)


def test_one_process_decides_alone() -> None:
    alone = Processes()
    assert alone.agree("it", b"x", b"".join) == b"x"
    assert alone.first("it", lambda: 3) == 3

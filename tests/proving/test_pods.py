"""Processes that train together: real ones, by gloo; and what they say to each other, by a store in memory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
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

Ends = list[dict[str, Any]]


@dataclass(frozen=True)
class TrainedRuns:
    """What two processes with two devices each did, one case after the other, and how it ended in both of them."""

    whole: Path
    noticed: Path
    ends: dict[str, Ends]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> TrainedRuns:
    """The last case leaves processes that were given notice; whatever comes first finds them as they were."""
    root = tmp_path_factory.mktemp("together")
    cases: dict[str, dict[str, Any]] = {
        "whole": {"slow_in_save": 1},
        "flipped": {"flipped": [2, 3]},
        "noticed": {"signal": "SIGTERM", "at": 1, "pause": 0.4},
    }
    ends = trained(2, 2, *({"out": root / name, **case} for name, case in cases.items()))
    return TrainedRuns(root / "whole", root / "noticed", dict(zip(cases, ends, strict=True)))


@pytest.fixture(scope="module")
def whole(runs: TrainedRuns) -> Path:
    """A run that nothing interrupted."""
    return runs.whole


def finished(whole: Path) -> dict[str, Any]:
    claim = open_proof(whole).claim
    assert claim is not None
    return {"step": STEPS, "claim": claim.digest().hex()}


def test_all_processes_end_with_one_claim_though_one_has_a_slow_disk(runs: TrainedRuns) -> None:
    assert runs.ends["whole"] == [finished(runs.whole)] * 2


def test_a_process_whose_devices_have_other_bits_than_those_of_another_is_named(runs: TrainedRuns) -> None:
    """Its own devices agree with each other: only the digests of all processes show it."""
    first, second = runs.ends["flipped"]
    assert re.match(
        "DivergenceError: leaf /params/b: .* has other bits than .*, and should have the same", first["error"]
    )
    assert second["error"].startswith("ProcessError: process 0 failed at step 0: leaf /params/b: ")
    out = runs.whole.parent / "flipped"
    assert (open_proof(out).last_step, checkpoint_steps(out)) == (-1, [])  # no row was written


def test_a_run_summed_by_gloo_is_verified_bit_for_bit(whole: Path) -> None:
    """The process that verifies has no network but its own, and four virtual devices of its own."""
    report = pol_jax.verify(whole, records(), policy=pol_jax.AllSegments(), exact=True)
    if "no network of its own" in report.stages[0].detail:
        pytest.skip("processes may have no namespaces here")
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS), report.reasons
    assert report.environment.collectives == "gloo"


def test_openings_take_the_devices_of_the_mesh(whole: Path, tmp_path: Path) -> None:
    """So do the process that opens and the one that verifies; this one has a single device."""
    command = ("open", whole, "--steps", "6", "--task", "sharded:task", "--out", tmp_path / "opening")
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "XLA_FLAGS": ""}
    subprocess.run([sys.executable, "-m", "pol_jax", *map(str, command)], check=True, env=variables)
    policy = pol_jax.ListedSteps((6,))
    report = pol_jax.verify_opening(whole, tmp_path / "opening", policy=policy, exact=True, any_program=True)
    if "no network of its own" in report.stages[0].detail:
        pytest.skip("processes may have no namespaces here")
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS), report.reasons


def test_killed_in_a_step_or_in_a_save_and_continued_by_one_process(whole: Path, tmp_path: Path) -> None:
    """The same claim, to the last bit: gloo's sums depend on the mesh, and not on who has which device."""
    step, save = tmp_path / "step", tmp_path / "save"
    ((survivor, killed),) = trained(2, 2, {"out": step, "signal": "SIGKILL", "at": 6, "timeout": 10})
    # gloo notices the broken connection, or all wait for each other until the timeout.
    assert re.search("process was lost|process 1 is silent|has not reported", survivor["error"]), survivor
    assert killed == {"error": "no word"}
    assert checkpoint_steps(step) == [0, INTERVAL]
    moved = Path(shutil.copytree(step, tmp_path / "moved"))
    ((ended,),) = trained(1, 4, {"out": moved}, gloo=False)
    claim, undisturbed = open_proof(moved).claim, open_proof(whole).claim
    assert ended["step"] == STEPS, ended
    assert claim is not None
    assert undisturbed is not None
    assert [each.environment.collectives for each in claim.environments] == ["gloo", "none"]
    assert [each.start for each in claim.environments] == [0, INTERVAL]
    assert claim.ledger_root == undisturbed.ledger_root  # sums over two devices have the same bits either way
    trained(2, 2, {"out": save, "killed_in_save": 1, "timeout": 10})
    assert checkpoint_steps(save) == [0]
    assert trained(1, 4, {"out": step}, {"out": save}) == [[finished(whole)]] * 2


def test_noticed_or_killed_in_a_save_and_continued_by_four_processes(runs: TrainedRuns, tmp_path: Path) -> None:
    """The first process writes the ledger, and is the coordinator of jax too."""
    first, second = runs.ends["noticed"]
    assert first == second
    assert first["claim"] is None
    noticed = Path(shutil.copytree(runs.noticed, tmp_path / "noticed"))
    assert first["step"] in checkpoint_steps(noticed)
    trained(2, 2, {"out": tmp_path / "save", "killed_in_save": 0, "timeout": 10})
    assert checkpoint_steps(tmp_path / "save") == [0]
    ends = trained(4, 1, {"out": noticed}, {"out": tmp_path / "save"})
    assert ends == [[finished(runs.whole)] * 4] * 2
    # The checkpoint of the notice lay between those of the schedule, and is gone.
    assert checkpoint_steps(noticed) == [0, INTERVAL, STEPS]


def test_a_process_that_falls_silent_ends_the_run(tmp_path: Path) -> None:
    case = {"out": str(tmp_path), "signal": "SIGSTOP", "at": 5, "timeout": 4}
    with started(2, 2, [case]) as processes:
        told = "".join(processes.output(0, 600))
    # The loop is some steps ahead of the rows, and whichever waits first is named. While one thread stops the process,
    # another may report one more step.
    waiting = re.search(r"step (\d) .*: process 1 is silent|process 1 has not reported step (\d)", told)
    assert waiting, told
    in_loop, in_row = waiting.groups()
    last = open_proof(tmp_path).last_step
    assert 5 <= last < int(in_loop or in_row), told
    assert in_row is None or last == int(in_row) - 1, told


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


def test_a_silent_process_is_named_where_all_wait_for_ever(pair: tuple[Processes, Processes, Store]) -> None:
    """As accelerators do in a collective with a process that is gone."""
    told, ended = list[ProcessError](), Event()

    def end(error: ProcessError) -> None:
        told.append(error)
        ended.set()

    with pair[0].watching(end), pair[0].within("step 3"):
        assert ended.wait(60)
    assert str(told[0]).startswith("step 3 has not ended within 0.6 s: process 1 is silent; it is not recorded")


def test_one_process_decides_alone() -> None:
    alone = Processes()
    assert alone.agree("it", b"x", b"".join) == b"x"
    assert alone.first("it", lambda: 3) == 3

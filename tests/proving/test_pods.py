"""Processes that train together by gloo; what they say to each other is tested in tests/training/test_processes.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sharded import INTERVAL, STEPS, records, started, trained

import pol_jax
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.storage.checkpoint_names import checkpoint_steps
from pol_jax.storage.proof import open_proof

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

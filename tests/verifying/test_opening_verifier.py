"""Verification of an opening with the claim alone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from subprocess import PIPE

import jax
import msgspec
import numpy as np
import pytest
import tiny
from commands import pol
from forge import refused
from msgspec.structs import replace
from opened_steps import SECRET, SOURCE, STEPS
from places import ROOT, TESTS

from pol_jax.protocol.encoding import record_digests, record_salt
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.policies import ListedSteps
from pol_jax.proving.choices import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox import verify as isolation
from pol_jax.storage.openings import write_opening
from pol_jax.training.task import Task


def test_honest_opening_is_accepted_with_the_claim_alone(
    opening: Opening, check_opening: Callable[..., Report]
) -> None:
    report = check_opening(opening)
    assert report, report.reasons
    assert {stage.outcome for stage in report.stages} == {Outcome.PASSED}
    assert report.coverage is not None
    assert (report.coverage.unit, report.coverage.replayed, report.coverage.detection) == ("step", STEPS, 0.0)
    assert [state.step for state in opening.states] == [0, 1, 7, 8, 23, 24]


def test_part_of_an_opening_may_be_asked_for(opening: Opening, check_opening: Callable[..., Report]) -> None:
    report = check_opening(opening, (8,))
    assert report
    assert report.coverage is not None
    assert report.coverage.replayed == (8,)


def test_verified_in_a_process_of_its_own(opening: Opening, plain_proof: Path, tmp_path: Path) -> None:
    write_opening(tmp_path / "opening", opening)
    report = isolation.verify_opening(plain_proof, tmp_path / "opening", ListedSteps(STEPS))
    assert report, report.reasons


@pytest.mark.parametrize("witness_interval", [4, 6])
@pytest.mark.parametrize("secret", [None, SECRET])
def test_sparse_witnesses_and_private_records(
    witness_interval: int, secret: bytes | None, tmp_path: Path, check_opening: Callable[..., Report]
) -> None:
    choices = Choices(interval=6, witness_interval=witness_interval, secret=secret)
    proof = train(tiny.plain(), tmp_path / "proof", steps=11, choices=choices)
    opening = open_steps(proof, SOURCE, (2, 11), secret=secret)
    assert {state.step for state in opening.states} == ({0, 4, 8, 11} if witness_interval == 4 else {0, 6, 11})
    assert check_opening(opening, (2, 11), tmp_path / "proof")
    if secret is not None:
        record = opening.records[0]
        (public,) = record_digests(np.frombuffer(b"".join(record.leaves), np.uint8)[None])
        assert record.salt == record_salt(secret, record.index, public)
        bare = replace(opening, records=tuple(replace(record, salt=None) for record in opening.records))
        refused(check_opening(bare, (2, 11), tmp_path / "proof"), 5, "records[0]", "salt is missing")


@pytest.mark.parametrize("task", [tiny.linen, tiny.nested])
def test_any_state_and_records_can_be_opened(
    task: Callable[[], Task], tmp_path: Path, check_opening: Callable[..., Report]
) -> None:
    proof = train(task(), tmp_path / "proof", steps=7, choices=Choices(interval=3))
    assert check_opening(open_steps(proof, task().source, (1, 5)), (1, 5), tmp_path / "proof")


COMMANDS = """
import json, os, sys
from pathlib import Path
from unittest.mock import patch
import once, stored_programs
from in_process import serving_thread
from pol_jax.cli.main import main

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
stored_programs.folder = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
with patch("pol_jax.sandbox.apart.child_process", serving_thread), once.repeating_nothing():
    for line in sys.stdin:
        folder, commands = json.loads(line)
        os.chdir(folder)
        codes = []
        for command in commands:
            sys.argv[1:] = command
            try:
                main()
            except SystemExit as end:
                codes.append(end.code or 0)
            else:
                codes.append(0)
        print(json.dumps(codes), file=answers, flush=True)
"""
"""Commands that one interpreter runs, one after the other; it verifies by itself, since what is tested is its jax."""

Run = Callable[..., list[int]]
"""This function runs commands of the command line in the current directory, and returns their exit codes."""


@cache
def other_python() -> Path | None:
    """Another supported interpreter that has this package's dependencies, beside this one."""
    root = ROOT
    named = [Path(os.environ["POL_OTHER_PYTHON"])] if "POL_OTHER_PYTHON" in os.environ else []
    for python in (*named, root / ".venv/bin/python", root / ".venv-3.12/bin/python"):
        code = "from importlib.metadata import version; print(version('pyarrow'), version('jax'))"
        if not python.exists():
            continue
        found = subprocess.run([python, "-c", code], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.split()[1] != jax.__version__:
            return python
    return None


LEFT_OPEN = ("they decide the result", "single steps can be judged more sharply")
"""Why a run of ten steps is left open where its single steps pass; which processors leave it open differs."""


def run_here(*commands: tuple[object, ...]) -> list[int]:
    return [pol(*map(str, command)).exit_code for command in commands]


@pytest.fixture(scope="module")
def run_there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs commands in one process of another interpreter."""
    other = other_python()
    if other is None:
        pytest.skip("no second interpreter with another jax: make .venv-3.12, or set POL_OTHER_PYTHON")
    environment = os.environ | {"PYTHONPATH": f"{TESTS}:{ROOT}"}  # one cache: its keys name the version of jax
    said = tmp_path_factory.mktemp("other") / "said"
    with (
        said.open("w") as output,
        subprocess.Popen(
            [other, "-c", COMMANDS], stdin=PIPE, stdout=PIPE, stderr=output, text=True, env=environment
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def run(*commands: tuple[object, ...]) -> list[int]:
            print(json.dumps([str(Path.cwd()), [[*map(str, command)] for command in commands]]), file=asked, flush=True)
            codes: list[int] = json.loads(answers.readline() or pytest.fail(said.read_text()))
            return codes

        yield run
        asked.close()
        assert process.wait() == 0, said.read_text()


@pytest.mark.parametrize("proved_here", [True, False], ids=["proved here", "proved there"])
@pytest.mark.parametrize(("task", "steps"), [("tiny:linen", 12), ("digits", 20)])
@pytest.mark.usefixtures("in_process")
def test_proof_of_another_jax_verifies_by_tolerance(
    task: str, steps: int, proved_here: bool, run_there: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof of one version of jax is accepted under the other: as a directory, and opened, with the claim alone."""
    monkeypatch.chdir(tmp_path)
    prover, verifier = (run_here, run_there) if proved_here else (run_there, run_here)
    # Of a few steps, little is known of what choices near ties did in the others: a verdict takes some more.
    asked = ("--steps", ",".join(map(str, (*range(1, steps, 3), steps))))
    made = prover(
        ("train", task, "--out", "p", "--steps", steps, "--interval", steps // 2, "--witness-interval", 1),
        ("open", "p", *asked, "--out", "o", "--task", task),
    )
    assert made == [0, 0]
    of_opening, of_directory = verifier(
        ("verify", "p/claim.json", "--opening", "o", *asked, "--any-program", "--json", "of the opening"),
        ("verify", "p", "--all", "--task", task, "--any-program", "--json", "of the directory"),
    )
    assert (of_opening, of_directory) in {(0, 0), (0, 3)}
    for name in ("of the opening", "of the directory"):
        report = msgspec.json.decode((tmp_path / name).read_bytes(), type=Report)
        assert report.verdict is not Verdict.REJECTED
        assert report.environment is not None
        assert report.claimed_environment is not None
        assert report.environment.jax != report.claimed_environment.jax
        assert Outcome.FAILED not in {each.outcome for each in report.compared}
        if name == "of the directory" and any(each in reason for each in LEFT_OPEN for reason in report.reasons):
            # Ten steps at once, from a state whose momenta are 0: an honest run stays open, and its opening doesn't.
            pytest.xfail("last places of the first state, or a near tie, decide small momenta ten steps later")
        assert report.verdict is Verdict.ACCEPTED
        assert all(each.outcome is Outcome.PASSED for each in report.compared)

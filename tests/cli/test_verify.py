"""`pol verify`: what it prints and writes, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from commands import environment, pol

from pol_jax.protocol.stages import Stage
from pol_jax.proving.recording import Recording


@pytest.mark.usefixtures("in_process")
def test_verify_prints_every_stage_and_the_verdict(runs: Path, tmp_path: Path) -> None:
    verified = pol("verify", runs / "a", "--task", "tiny:plain", "--json", tmp_path / "report.json")
    assert verified.exit_code == 0
    for stage in Stage:
        assert f"{stage.value}  {stage.title}" in verified.output
    assert "\naccepted, bit for bit; all 12 steps were replayed\n" in verified.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] == "accepted"
    assert [stage["name"] for stage in report["stages"]] == [stage.title for stage in Stage]
    assert report["nonce"] in verified.output


def test_json_to_standard_output_is_nothing_but_json(runs: Path) -> None:
    command = [sys.executable, "-m", "pol_jax.cli", "verify", str(runs / "a"), "--task", "tiny:plain", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert json.loads(done.stdout)["verdict"] == "accepted"
    assert "accepted" in done.stderr


@pytest.mark.usefixtures("in_process")
def test_html_is_a_page_whose_task_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "import dataclasses, tiny\ntask = dataclasses.replace(tiny.plain(), name='<script>alert(1)</script>')\n"
    (tmp_path / "bad_name.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    assert pol("train", "bad_name:task", "--out", tmp_path / "proof", "--steps", "12").exit_code == 0
    verify = ("verify", tmp_path / "proof", "--task", "bad_name:task", "--html")
    assert pol(*verify, tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    unwritable = pol(*verify, tmp_path / "nowhere" / "report.html")
    assert unwritable.exit_code == 2
    assert "report.html: can't be written" in unwritable.stderr


@pytest.mark.usefixtures("in_process")
def test_nonce_repeats_a_draw(runs: Path) -> None:
    options = ("--task", "tiny:plain", "--confidence", "0.5", "--fraction", "0.5", "--nonce", "00ff" * 8, "--json", "-")
    first, second = (json.loads(pol("verify", runs / "longer", *options).stdout) for _ in range(2))
    assert first["coverage"] == second["coverage"]
    assert first["nonce"] == "00ff" * 8
    assert len(first["coverage"]["replayed"]) == 1


@pytest.mark.usefixtures("in_process")
def test_segments_are_replayed_by_name(runs: Path) -> None:
    verified = pol("verify", runs / "longer", "--task", "tiny:plain", "--segments", "0,2")
    assert verified.exit_code == 0
    banner = "\naccepted, bit for bit; 12 of 18 steps were replayed, and nothing is known of the others\n"
    assert banner in verified.output
    repeating = re.search(r"to repeat this: pol verify (.*)", verified.output)
    assert repeating
    assert re.fullmatch(rf"{runs / 'longer'} --task tiny:plain --segments 0,2 --nonce [0-9a-f]{{32}}", repeating[1])
    assert "2 of 3 segments" in verified.output
    assert "chosen by number, so this says nothing about the other segments" in verified.output


@pytest.mark.usefixtures("in_process")
def test_largest_updates_are_replayed(runs: Path) -> None:
    options = ("--task", "tiny:plain", "--top-q", "1", "--metric", "l1")
    verified = pol("verify", runs / "longer", *options)
    assert verified.exit_code == 0
    assert "4 checkpoints; 3 updates measured" in verified.output
    assert "2 of 3 segments" in verified.output
    assert "the prover can foresee the largest updates" in verified.output
    report = json.loads(pol("verify", runs / "longer", *options, "--json", "-").stdout)
    assert report["policy"] == {"policy": "top", "q": 1, "metric": "l1"}
    assert (len(report["coverage"]["replayed"]), report["coverage"]["detection"]) == (2, 0.0)


@pytest.mark.usefixtures("in_process")
def test_largest_updates_and_random_segments_are_replayed(runs: Path) -> None:
    options = ("--task", "tiny:plain", "--top-q", "1", "--fraction", "0.3", "--json", "-")
    report = json.loads(pol("verify", runs / "longer", *options).stdout)
    policy = {"policy": "joint", "q": 1, "metric": "l2", "confidence": 0.99, "fraction": 0.3}
    assert (report["verdict"], report["policy"]) == ("accepted", policy)
    assert (report["coverage"]["replayed"], report["coverage"]["detection"]) == ([0, 1, 2], 1.0)


def test_rejected_proof_exits_with_1_and_names_stage_and_file(proof_copy: Path) -> None:
    (proof_copy / "records").write_bytes(b"\0" * (proof_copy / "records").stat().st_size)
    rejected = pol("verify", proof_copy, "--task", "tiny:plain")
    assert rejected.exit_code == 1
    assert "rejected" in rejected.output
    assert "stage 2, files against claim: records: differs from the inventory's digest" in rejected.output
    assert "not reached" in rejected.output


@pytest.mark.usefixtures("in_process")
def test_other_records_exit_with_3(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "import dataclasses, tiny, pol_jax.training.records as d\n"
    module += "task = dataclasses.replace(tiny.plain(), source=d.Arrays(tiny.points(seed=2)))\n"
    (tmp_path / "other_points.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    inconclusive = pol("verify", runs / "a", "--task", "other_points:task")
    assert inconclusive.exit_code == 3
    assert "cannot judge with these records: record" in inconclusive.output


@pytest.mark.usefixtures("in_process")
def test_private_records_are_salted_and_need_the_secret(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    out = tmp_path / "proof"
    assert pol("train", "tiny:plain", "--out", out, "--steps", "6", "--private", secret).exit_code == 0
    verify = ("verify", out, "--task", "tiny:plain")
    assert pol(*verify, "--private", secret).exit_code == 0
    assert pol(*verify).exit_code == 3
    secret.write_bytes(bytes(32))
    assert pol(*verify, "--private", secret).exit_code == 3


def test_a_report_that_can_t_be_written_is_found_before_the_verification(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pol_jax.cli.verify.verify_proof_apart", lambda *_, **__: pytest.fail("was verified"))
    for option in ("--json", "--html"):
        for place in (tmp_path / "no folder" / "report", runs / "a" / "records" / "report", tmp_path / ("x" * 300)):
            wrong = pol("verify", runs / "a", "--task", "tiny:plain", option, place)
            assert wrong.exit_code == 2
            assert "can't be written" in wrong.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("in_process")
def test_a_run_that_is_not_finished_is_no_false_proof(tmp_path: Path) -> None:
    """Stopped on its way, or going on at this moment."""
    with Recording(tiny.plain(), tmp_path / "proof") as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 8:
                assert pol("inspect", tmp_path / "proof").exit_code == 0
                break
    for command in (("verify", tmp_path / "proof", "--task", "tiny:plain"), ("check", tmp_path / "proof")):
        wrong = pol(*command)
        assert wrong.exit_code == 2, wrong.output
        assert "not finished" in wrong.stderr
    shown = pol("inspect", tmp_path / "proof")
    assert "8 so far; the run is not finished" in shown.stdout


@pytest.mark.usefixtures("in_process")
def test_a_source_that_fails_is_an_error_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    task = "mistaken_tasks:failing"
    assert pol("train", task, "--out", tmp_path / "proof", "--steps", "4").exit_code == 0
    monkeypatch.setenv("POL_TEST_FAILS", "1")
    failed = pol("verify", tmp_path / "proof", "--task", task, "--any-program")
    assert failed.exit_code == 2, failed.output
    assert "in __getitem__: OSError: [Errno 5] Input/output error" in failed.stderr


def test_a_proof_is_found_by_any_path_to_it(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by one that goes through a parent directory, which the store of the arrays refuses as it is."""
    inside = plain_proof / "ledger"
    monkeypatch.chdir(inside)
    for path in ("..", "../../proof", f"{inside}/../../proof"):
        told = pol("verify", path, "--segments", "0", "--task", "tiny:plain")
        assert told.exit_code == 0, told.output

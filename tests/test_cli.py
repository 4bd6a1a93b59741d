"""The command line as its users meet it: output, exit codes, one line for what went wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from click.testing import CliRunner, Result

from pol_jax.cli import main as cli
from pol_jax.cli.terminal import Bars
from pol_jax.cli.verify import parse_list
from pol_jax.errors import PolError, UsageError
from pol_jax.protocol.challenge import METRICS
from pol_jax.protocol.stages import Stage
from pol_jax.storage.proof import open_proof


def pol(*arguments: str | Path) -> Result:
    """Run a command in this process; errors of the package become what `main` makes of them."""
    result = CliRunner().invoke(cli.pol, [str(argument) for argument in arguments])
    if isinstance(result.exception, PolError):
        result.exit_code, result.stderr_bytes = result.exception.exit_code, f"pol: {result.exception}\n".encode()
    elif result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one commitment, the second longer, and one of another seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, steps, seed in (("a", 12, "1"), ("longer", 18, "1"), ("other", 12, "2")):
        trained = pol("train", "tiny:plain", "--out", folder / name, "--steps", str(steps), "--seed", seed)
        assert trained.exit_code == 0, trained.output
        assert f"trained {steps} steps of tiny plain" in trained.output
        assert open_proof(folder / name).claim.digest().hex() in trained.output
    return folder


def test_train_again_says_that_it_is_finished(runs: Path) -> None:
    again = pol("train", "tiny:plain", "--out", runs / "a")
    assert again.exit_code == 0
    assert "is finished already" in again.output


def test_verify_prints_every_stage_and_the_verdict(runs: Path, tmp_path: Path) -> None:
    verified = pol("verify", runs / "a", "--task", "tiny:plain", "--json", tmp_path / "report.json")
    assert verified.exit_code == 0
    for stage in Stage:
        assert f"{stage.value}  {stage.title}" in verified.output
    assert "\naccepted\n" in verified.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] == "accepted"
    assert [stage["name"] for stage in report["stages"]] == [stage.title for stage in Stage]
    assert report["nonce"] in verified.output


def test_json_to_standard_output_is_nothing_but_json(runs: Path) -> None:
    command = [sys.executable, "-m", "pol_jax.cli", "verify", str(runs / "a"), "--task", "tiny:plain", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert json.loads(done.stdout)["verdict"] == "accepted"
    assert "accepted" in done.stderr


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


def test_nonce_repeats_a_draw(runs: Path) -> None:
    options = ("--task", "tiny:plain", "--confidence", "0.5", "--fraction", "0.5", "--nonce", "00ff", "--json", "-")
    first, second = (json.loads(pol("verify", runs / "longer", *options).stdout) for _ in range(2))
    assert first["coverage"] == second["coverage"]
    assert first["nonce"] == "00ff"
    assert len(first["coverage"]["replayed"]) == 1


def test_segments_are_replayed_by_name(runs: Path) -> None:
    verified = pol("verify", runs / "longer", "--task", "tiny:plain", "--segments", "0,2")
    assert verified.exit_code == 0
    assert "2 of 3 segments" in verified.output
    assert "chosen by number, so this says nothing about the other segments" in verified.output


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


def test_largest_updates_and_random_segments_are_replayed(runs: Path) -> None:
    options = ("--task", "tiny:plain", "--top-q", "1", "--fraction", "0.3", "--json", "-")
    report = json.loads(pol("verify", runs / "longer", *options).stdout)
    policy = {"policy": "joint", "q": 1, "metric": "l2", "confidence": 0.99, "fraction": 0.3}
    assert (report["verdict"], report["policy"]) == ("accepted", policy)
    assert (report["coverage"]["replayed"], report["coverage"]["detection"]) == ([0, 1, 2], 1.0)


def test_metrics_are_those_of_the_policies() -> None:
    (metric,) = (option for option in cli.verify.params if option.name == "metric")
    assert tuple(metric.type.choices) == METRICS  # type: ignore[attr-defined]


def test_rejected_proof_exits_with_1_and_names_stage_and_file(proof_copy: Path) -> None:
    (proof_copy / "records").write_bytes(b"\0" * (proof_copy / "records").stat().st_size)
    rejected = pol("verify", proof_copy, "--task", "tiny:plain")
    assert rejected.exit_code == 1
    assert "rejected" in rejected.output
    assert "stage 2, files against claim: records: differs from the inventory's digest" in rejected.output
    assert "not reached" in rejected.output


def test_other_records_exit_with_3(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "import dataclasses, tiny, pol_jax.training.records as d\n"
    module += "task = dataclasses.replace(tiny.plain(), source=d.Arrays(tiny.points(seed=2)))\n"
    (tmp_path / "other_points.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    inconclusive = pol("verify", runs / "a", "--task", "other_points:task")
    assert inconclusive.exit_code == 3
    assert "cannot judge with these records: record" in inconclusive.output


def test_inspect_shows_what_is_claimed(runs: Path) -> None:
    shown = pol("inspect", runs / "a")
    assert shown.exit_code == 0
    proof = open_proof(runs / "a")
    for text in ("tiny plain", "learning_rate", proof.claim.final_state, proof.commitment.digest().hex(), "loss"):
        assert text in shown.output
    assert "\x1b" not in shown.output


def test_train_keeps_few_checkpoints_and_inspect_shows_how_many(runs: Path, tmp_path: Path) -> None:
    arguments = ("train", "tiny:plain", "--out", tmp_path / "proof", "--steps", "14", "--seed", "1")
    assert pol(*arguments, "--interval", "3", "--keep-every", "2").exit_code == 0
    assert open_proof(tmp_path / "proof").checkpoints() == [0, 6, 12, 14]
    assert "4 kept of 6, one every 3 steps" in pol("inspect", tmp_path / "proof").output
    assert "3 kept of 3, one every 6 steps" in pol("inspect", runs / "a").output


def test_diff_finds_what_differs(runs: Path, tmp_path: Path) -> None:
    same = pol("diff", runs / "a", runs / "longer")
    assert same.exit_code == 0
    assert (
        "the runs are the same, bit for bit, for all 12 common steps; only one of them continues, to step 18"
        in same.output
    )
    other = pol("diff", runs / "a", runs / "other")
    assert other.exit_code == 1
    assert "commitments differ in nonce: '1' against '2'" in other.output


def test_diff_finds_the_first_step_that_diverges(proof_copy: Path, plain_proof: Path) -> None:
    from dataclasses import replace

    from pol_jax.storage.ledger import read_segment, seal

    segments = open_proof(proof_copy).segments
    rows = read_segment(proof_copy, 1, segments.rows(1))
    seal(proof_copy, 1, [replace(row, state=bytes(32)) if row.step >= 9 else row for row in rows])
    diverged = pol("diff", plain_proof, proof_copy)
    assert diverged.exit_code == 1
    assert "diverge at step 9 (of 24 common steps): state_digest" in diverged.output


def test_keygen_and_key_put_the_public_half_into_the_commitment(tmp_path: Path) -> None:
    made = pol("keygen", tmp_path / "key.pem")
    assert made.exit_code == 0
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    assert pol("keygen", tmp_path / "key.pem").exit_code == 2
    arguments = ("train", "tiny:plain", "--out", tmp_path / "proof", "--steps", "2", "--key", tmp_path / "key.pem")
    assert pol(*arguments).exit_code == 0
    assert open_proof(tmp_path / "proof").commitment.prover == made.stdout.strip()


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "nothing", "--out", "x"), "expected one of digits"),
        (("train", "no.such:task", "--out", "x"), "no module named"),
        (("train", "tiny:nothing", "--out", "x"), "no attribute 'nothing'"),
        (("train", "tiny:STEPS", "--out", "x"), "expected a pol_jax.Task"),
        (("train", "tiny:points", "--out", "x"), "expected a function (data_dir, steps) -> Task"),
        (("train", "cifar10", "--out", "x"), "--data-dir"),
        (("train", "tiny:plain", "--out", "x", "--steps", "0"), "0 is not in the range"),
        (("train", "tiny:plain", "--out", "x", "--keep-every", "0"), "0 is not in the range"),
        (("train", "tiny:plain", "--out", "x", "--key", "no.pem"), "no.pem: can't be read"),
        (("train", "tiny:plain", "--out", "x", "--private", "no"), "no: can't be read"),
        (("train", "tiny:plain", "--out", str(Path(__file__).parent)), "choose another directory"),
        (("verify", "nowhere"), "no such directory"),
        (("verify", str(Path(__file__).parent)), "no proof here"),
        (("verify", "{proof}"), "(--task)"),
        (("verify", "{proof}", "--task", "tiny:plain", "--segments", "4"), "segments 0 to 3"),
        (("verify", "{proof}", "--task", "tiny:plain", "--segments", ""), "numbers and ranges"),
        (("verify", "{proof}", "--task", "tiny:plain", "--segments", "3-1"), "would check nothing"),
        (("verify", "{proof}", "--task", "tiny:plain", "--segments", "1", "--all"), "one of them"),
        (("verify", "{proof}", "--task", "tiny:plain", "--top-q", "1", "--all"), "one of them"),
        (("verify", "{proof}", "--task", "tiny:plain", "--top-q", "1", "--segments", "1"), "one of them"),
        (("verify", "{proof}", "--task", "tiny:plain", "--top-q", "0"), "0 is not in the range"),
        (("verify", "{proof}", "--task", "tiny:plain", "--top-q", str(2**53)), "expected a whole number"),
        (("verify", "{proof}", "--task", "tiny:plain", "--top-q", "1", "--fraction", "0"), "between 0 and 1"),
        (("verify", "{proof}", "--task", "tiny:plain", "--top-q", "1", "--metric", "l3"), "'l3' is not one of"),
        (("verify", "{proof}", "--task", "tiny:plain", "--metric", "l2"), "--top-q"),
        (("verify", "{proof}", "--task", "tiny:plain", "--all", "--confidence", "0.99"), "random segments"),
        (("verify", "{proof}", "--task", "tiny:plain", "--segments", "1", "--fraction", "0.1"), "random segments"),
        (("verify", "{proof}", "--task", "tiny:plain", "--nonce", "xyz"), "hex digits"),
        (("verify", "{proof}", "--task", "tiny:plain", "--nonce", ""), "1 to 64 bytes"),
        (("verify", "{proof}", "--task", "tiny:plain", "--confidence", "1"), "between 0 and 1"),
        (("inspect", "nowhere"), "no proof here"),
        (("diff", "{proof}", "nowhere"), "no proof here"),
    ],
)
def test_wrong_call_is_one_clear_line_and_exit_code_2(
    arguments: tuple[str, ...], words: str, plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = pol(*(argument.format(proof=plain_proof) for argument in arguments))
    assert wrong.exit_code == 2, wrong.output
    last = wrong.stderr.strip().splitlines()[-1]
    assert words in last
    assert "Traceback" not in wrong.output


def test_lists_of_segments() -> None:
    assert parse_list("0,3,7-9") == (0, 3, 7, 8, 9)
    for wrong in ("a", "1-", "-1", "1--2", "0-9999999"):
        with pytest.raises(UsageError):
            parse_list(wrong)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from pol_jax.cli.main import pol; pol(['--help'], standalone_mode=False); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Exit codes: 0 accepted" in " ".join(shown.stdout.split())
    heavy = {"jax", "numpy", "flax", "orbax", "pyarrow", "tensorflow_datasets", "rich", "plotext"}
    assert not heavy & set(shown.stdout.split())


LATE = """
import sys, types
from pol_jax.cli import main as cli

class Closed:
    def __del__(self):
        raise RuntimeError("Event loop is closed")

def body(**_):
    if sys.argv[1:] == ["ours"]:
        Closed()
    else:
        sys.unraisablehook(types.SimpleNamespace(exc_value=RuntimeError("Event loop is closed"), object=None))

cli.pol = body
cli.main()
"""


@pytest.mark.parametrize(("whose", "lines"), [("theirs", False), ("ours", True)])
def test_late_report_of_a_storage_thread_is_no_line_of_ours(whose: str, lines: bool) -> None:
    """Tensorstore's threads report to the loop that Orbax closed after a failed save; nothing else is dropped."""
    command = [sys.executable, "-c", LATE, whose]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    assert ("Event loop is closed" in done.stderr) == bool(done.stderr) == lines


def test_bars_are_quiet_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars.begin("training", 10)
    bars.at(5, 1.0)
    bars.end()
    assert capfd.readouterr() == ("", "")


def test_progress_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    """A real pseudo-terminal: the bar shows steps, speed and loss."""
    import pty

    command = [
        sys.executable,
        "-m",
        "pol_jax.cli",
        "train",
        "tiny:plain",
        "--out",
        str(tmp_path / "proof"),
        "--steps",
        "300",
    ]
    main, secondary = pty.openpty()
    with subprocess.Popen(
        command, stdout=secondary, stderr=secondary, env=environment() | {"COLUMNS": "120"}
    ) as process:
        os.close(secondary)
        shown = read_all(main)
    os.close(main)
    assert process.returncode == 0
    assert "training" in shown
    assert "300/300" in shown
    assert "/s" in shown
    assert "loss 0." in shown


def read_all(terminal: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how a pseudo-terminal says that the other side is gone
            part = b""
        if not part:
            return b"".join(parts).decode(errors="replace")
        parts.append(part)


def environment() -> dict[str, Any]:
    return os.environ | {"PYTHONPATH": str(Path(tiny.__file__).parent), "TERM": "xterm-256color"}

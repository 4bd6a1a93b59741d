"""`pol train` trains with a proof, continues what was interrupted, and starts from earlier proofs or weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from commands import environment, pol
from fine_tuned import INTERVAL, STEPS, digest

from pol_jax.cli import main as cli
from pol_jax.errors import UsageError
from pol_jax.proving.recording import Recording
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import load_task

pytestmark = pytest.mark.usefixtures("in_process")


def run(*arguments: str | int | Path) -> Any:
    return CliRunner().invoke(cli.pol, [str(argument) for argument in arguments])


def test_the_command_line_starts_from_an_earlier_proof(chain: Path, tmp_path: Path) -> None:
    base, out = chain / "base", tmp_path / "tuned"
    train_it = ("train", "tiny:plain", "--out", out, "--steps", STEPS, "--interval", INTERVAL, "--seed", "child")
    trained = run(*train_it, "--start-from", base, "--take", "/params")
    assert trained.exit_code == 0, trained.output
    assert "initial state: 2 of 6 leaves (51 values) come from the final state of claim" in trained.output
    assert digest(out) == digest(chain / "child")
    shown = run("inspect", out)
    assert digest(base)[:16] in shown.output
    assert "/params/b, /params/w" in shown.output
    verify = ("verify", out, "--task", "tiny:plain", "--all")
    verified = run(*verify, "--parent", base)
    assert verified.exit_code == 0, verified.output
    assert f"earlier proof of tiny plain, claim {digest(base)[:16]}…: accepted" in verified.output
    missing = run(*verify)
    assert missing.exit_code == 3
    assert missing.output.splitlines()[1].startswith("training starts from the run with the claim")
    assert "add --parent DIR" in missing.output


def test_the_command_line_starts_from_weights(chain: Path, tmp_path: Path) -> None:
    train_it = ("train", "tiny:plain", "--out", tmp_path / "tuned", "--steps", STEPS)
    source = chain / "base" / "checkpoints" / "0000000024"
    trained = run(*train_it, "--start-from-weights", source, "--take", "/params/w", "--take", "/momentum")
    assert trained.exit_code == 0, trained.output
    assert open_proof(tmp_path / "tuned").commitment.initial.leaves == ("/momentum", "/params/w")
    verified = run("verify", tmp_path / "tuned", "--task", "tiny:plain", "--task", "tiny:nested")
    assert verified.exit_code == 0, verified.output
    assert verified.output.splitlines()[1].startswith(
        "training starts from weights of unproven origin: /momentum, /params/w; 96 values"
    )
    for wrong in (("--take", "/params"), ("--start-from", chain / "base", "--start-from-weights", source)):
        result = run(*train_it, *wrong)
        assert isinstance(result.exception, UsageError), result.output
    result = run("verify", tmp_path / "tuned", "--task", "tiny:linen", "--task", "tiny:nested")
    assert "none of the given tasks is called" in str(result.exception) or result.exit_code == 2


def test_train_again_says_that_it_is_finished(runs: Path) -> None:
    again = pol("train", "tiny:plain", "--out", runs / "a")
    assert again.exit_code == 0
    assert "is finished already" in again.output


@pytest.mark.interpreter
def test_train_keeps_few_checkpoints_and_inspect_shows_how_many(runs: Path, tmp_path: Path) -> None:
    arguments = ("train", "tiny:plain", "--out", tmp_path / "proof", "--steps", "14", "--seed", "1")
    assert pol(*arguments, "--interval", "3", "--keep-every", "2").exit_code == 0
    assert open_proof(tmp_path / "proof").checkpoints() == [0, 6, 12, 14]
    assert "4 kept of 6, one every 3 steps" in pol("inspect", tmp_path / "proof").output
    assert "3 kept of 3, one every 6 steps" in pol("inspect", runs / "a").output


# --- what people do wrong ----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("evaluate_raises", "in _raise: ZeroDivisionError: mine"),
        ("evaluate_returns_nothing", "evaluate returned NoneType; expected a dict"),
        ("evaluate_returns_text", "ValueError: could not convert string to float"),
    ],
)
def test_an_evaluation_that_fails_spoils_no_proof(task: str, words: str, tmp_path: Path) -> None:
    train_it = ("train", f"mistaken_tasks:{task}", "--out", tmp_path / "proof", "--steps", "4")
    failed = pol(*train_it)
    assert failed.exit_code == 2
    assert words in failed.stderr
    claim = open_proof(tmp_path / "proof").claim
    assert claim is not None
    assert f"claim {claim.digest().hex()}" in failed.stdout
    again = pol(*train_it)  # the run is finished: nothing is evaluated again
    assert (again.exit_code, again.stderr) == (0, "")
    other = pol("train", f"mistaken_tasks:{task}", "--out", tmp_path / "other", "--steps", "4", "--no-evaluate")
    assert (other.exit_code, other.stderr) == (0, "")


def test_names_are_no_markup(tmp_path: Path) -> None:
    shown = pol("train", "mistaken_tasks:evaluate_names_markup", "--out", tmp_path / "proof")
    assert "[bold]x[/] 1.0000\n[/oops] 2.0000\n" in shown.stdout
    shown = pol("train", "mistaken_tasks:markup", "--out", tmp_path / "other", "--steps", "4")
    assert "trained 4 steps of gpt [small] [/x]; the proof is in" in shown.stdout


def test_a_run_keeps_the_number_of_steps_that_its_program_depends_on(tmp_path: Path) -> None:
    task, out = load_task("mistaken_tasks:scheduled", steps=12), tmp_path / "proof"
    with Recording(task, out) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 8:
                break
    longer = pol("train", "mistaken_tasks:scheduled", "--out", out, "--steps", "24")
    assert longer.exit_code == 2
    assert "this run is committed to exactly 12" in longer.stderr
    continued = pol("train", "mistaken_tasks:scheduled", "--out", out)
    assert continued.exit_code == 0, continued.output
    assert "continuing after step 6 of 12" in continued.stdout


def test_the_whole_exception_is_shown_if_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POL_TEST_FAILS", "1")
    monkeypatch.setattr("sys.unraisablehook", sys.unraisablehook)  # `main` has one of its own

    def errors_of(*options: str) -> str:
        command = ["pol", "train", "mistaken_tasks:failing", "--out", str(tmp_path / "proof"), *options]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        return capfd.readouterr().err

    (line,) = errors_of().splitlines()
    assert line.startswith("pol: source: record 0: ")
    assert "in __getitem__: OSError: [Errno 5] Input/output error: '/data/shard-3'; --traceback shows all" in line
    assert not (tmp_path / "proof").exists()
    whole = errors_of("--traceback")
    assert "Traceback (most recent call last)" in whole
    assert whole.splitlines()[-1].startswith("pol: source: record 0: ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_can_t_show_a_character_is_no_reason_to_stop(encoding: str, chain: Path) -> None:
    command = [sys.executable, "-m", "pol_jax.cli", "inspect", str(chain / "base")]
    settings = environment() | {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"}
    shown = subprocess.run(command, capture_output=True, env=settings)
    assert shown.returncode == 0, shown.stderr
    assert b"root " in shown.stdout

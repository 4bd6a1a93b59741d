"""Every command has help, and says in one line what went wrong."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment, pol
from places import TESTS

from pol_jax.cli.main import main


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "nothing", "--out", "x"), "expected one of digits"),
        (("train", "no.such:task", "--out", "x"), "no module named"),
        (("train", "tiny:nothing", "--out", "x"), "no attribute 'nothing'"),
        (("train", "tiny:STEPS", "--out", "x"), "expected a pol_jax.Task"),
        (("train", "tiny:points", "--out", "x"), "expected a function (data_dir, steps) -> Task"),
        (("train", "cifar10", "--out", "x"), "(--data-dir)"),
        (("train", "tiny:plain", "--out", "x", "--steps", "0"), "0 is not in the range"),
        (("train", "tiny:plain", "--out", "x", "--keep-every", "0"), "0 is not in the range"),
        (("train", "tiny:plain", "--out", "x", "--key", "no.pem"), "no.pem: can't be read"),
        (("train", "tiny:plain", "--out", "x", "--private", "no"), "no: can't be read"),
        (("train", "tiny:plain", "--out", str(TESTS)), "choose another directory"),
        (("verify", "nowhere"), "no such directory"),
        (("verify", str(TESTS)), "no proof here"),
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
        (("verify", "{proof}", "--task", "tiny:plain", "--nonce", ""), "expected 16 to 64"),
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


def test_a_folder_that_may_not_be_entered_is_one_line(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """These tests may run as root, so the system's answer is made up."""

    def refuse(*_arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "proof/ledger/\x1b0000000000.parquet")

    monkeypatch.setattr("pol_jax.cli.inspect.open_run_apart", refuse)
    monkeypatch.setattr("sys.argv", ["pol", "inspect", str(plain_proof)])
    monkeypatch.setattr("sys.unraisablehook", sys.unraisablehook)  # `main` has one of its own
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "pol: proof/ledger/\\x1b0000000000.parquet: Permission denied\n"


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

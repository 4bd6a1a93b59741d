"""Progress is drawn on a terminal, and nowhere else."""

from __future__ import annotations

import os
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner
from example_reports import COMPARED, unfinished
from rich.console import Console
from unsandboxed import verify

from pol_jax.cli.main import pol
from pol_jax.cli.report_screen import print_report
from pol_jax.cli.terminal import Bars, print_command, print_facts, print_line, say
from pol_jax.protocol.policies import AllSegments


def test_bars_are_quiet_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars.begin("training", 10)
    bars.at(5, 1.0)
    bars.end()
    assert capfd.readouterr() == ("", "")


def test_progress_is_drawn_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real pseudo-terminal: the bar shows steps, speed and loss."""
    import pty

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    main, secondary = pty.openpty()
    with ThreadPoolExecutor(1) as reader:
        shown_there = reader.submit(read_all, main)
        with open(secondary, "w", encoding="utf-8") as terminal, monkeypatch.context() as patched:
            patched.setattr("sys.stdout", terminal)
            patched.setattr("sys.stderr", terminal)
            command = ["train", "tiny:plain", "--out", str(tmp_path / "proof"), "--steps", "300"]
            status = pol(command, standalone_mode=False)
        shown = shown_there.result(60)
    os.close(main)
    assert not status
    assert "training" in shown
    assert "300/300" in shown
    assert "/s" in shown
    assert re.search(r"loss \d+\.\d{4}", shown)  # how large it is depends on the run's nonce


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


def console(width: int) -> Console:
    return Console(file=StringIO(), force_terminal=True, width=width, color_system=None, highlight=False)


def lines(shown: Console) -> list[str]:
    assert isinstance(shown.file, StringIO)
    return shown.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_break_between_words_only(width: int) -> None:
    """A digest is longer than a narrow terminal, and is copied as a whole."""
    shown, digest = console(width), "ab" * 32
    print_line(
        shown, f"the claim [bold]{digest}[/] comes from /a/very/long/path/of-a-proof that nobody has seen", indent=2
    )
    assert digest in "\n".join(lines(shown))
    assert all(line.startswith("  ") for line in lines(shown))
    assert [word for line in lines(shown) for word in line.split()].count("/a/very/long/path/of-a-proof") == 1
    assert all(len(line) <= width for line in lines(shown) if digest not in line)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_command_can_be_copied(width: int) -> None:
    shown, words = console(width), ["pol", "verify", "'a b'", "--nonce", "ab" * 16, *["--leaves", "/params"] * 3]
    print_command(shown, "to repeat this:", words, indent=2)
    copied = "\n".join(lines(shown)).partition("to repeat this:")[2]
    assert shlex.split(copied.replace("\\\n", " ")) == shlex.split(" ".join(words))
    assert all(len(line) <= width for line in lines(shown))


@pytest.mark.parametrize(
    "trick", ["\x1b[2J\x1b[1mverdict: accepted", "\x9b2J", "\r\x08", "\u202egnihton", "\x07\x1b]0;title\x07"]
)
def test_no_text_of_a_proof_controls_the_terminal(trick: str) -> None:
    """Reasons name leaves, whose paths may have any characters: one could clear the screen, and write a verdict."""
    shown = console(80)
    print_line(shown, f"leaf /{trick}: is not what this machine gives")
    print_facts(shown, [(f"  {trick}", f"a value {trick}")], 24)
    print_command(shown, "to repeat this:", ["pol verify PROOF", f"--leaves '{trick}'"])
    say(trick)
    text = shown.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    assert text.replace("\n", "").isprintable()
    assert "is not what this machine gives" in text


def test_lines_are_whole_where_they_are_searched() -> None:
    shown = Console(file=StringIO(), width=40)
    print_line(shown, "word " * 50)
    assert len(lines(shown)) == 1


@pytest.mark.parametrize("width", [40, 80])
def test_a_report_on_a_narrow_terminal(width: int, plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, policy=AllSegments(), nonce=b"n")
    shown = console(width)
    print_report(shown, report)
    text = "\n".join(lines(shown))
    for stage in report.stages:
        assert stage.name in text
    assert "accepted, bit for bit" in text
    longer = [line for line in lines(shown) if len(line) > width]
    assert all(re.fullmatch(" *[0-9a-f]{64};?", line) for line in longer), longer  # a digest is never cut


@pytest.mark.parametrize("width", [40, 80])
def test_comparisons_on_a_narrow_terminal(width: int) -> None:
    """A table that has no room would cut its numbers."""
    shown = console(width)
    print_report(shown, unfinished(compared=tuple(COMPARED["failed"])))
    text = "\n".join(lines(shown))
    assert "…" not in text
    assert ("step 999: failed\n   error 2.3e-02, tolerance 3.1e-07,\n   limit 3.1e-05, update 3.1e-02" in text) == (
        width == 40
    )
    assert bool(re.search("step 999 +2.3e-02 +3.1e-07 +3.1e-05 +3.1e-02 +failed", text)) == (width == 80)


def test_a_bar_and_the_line_of_a_stage_do_not_write_over_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pol_jax.cli.terminal.make_console", lambda **_: console(100))
    bars = Bars()
    bars.begin("replaying", 0)
    bars.stage(7)
    assert bars._status is None
    bars.end()
    bars.stage(8)
    assert bars._status is not None
    bars.end()


def test_a_bar_takes_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that a proof has taken over may say any words: an odd end of markup would end the caller."""
    shown = console(100)
    monkeypatch.setattr("pol_jax.cli.terminal.make_console", lambda **_: shown)
    bars = Bars()
    bars.begin("[link=x]replaying[/red]", 3)
    bars.end()
    assert "[link=x]replaying[/red]" in "".join(lines(shown))


def test_summaries_are_not_cut() -> None:
    shown = CliRunner().invoke(pol, ["--help"], terminal_width=80)
    assert "..." not in shown.output.split("Commands:")[1]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_facts_are_below_each_other(width: int) -> None:
    """A value that fits no more beside its name is below it, whole."""
    shown, digest = console(width), "ab" * 32
    print_facts(shown, [("task", "a :smile: [b]"), ("size", "1 kB of it, " * 5), ("claim", digest)], widest=24)
    assert lines(shown)[0] == "task   a :smile: [b]"
    assert all(len(line) <= width for line in lines(shown) if digest not in line)
    assert (f"claim  {digest}" if width >= 80 else f"  {digest}") in lines(shown)


def test_a_name_of_an_emoji_is_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    say("a/:smile:/proof")
    say("the other stream", err=True)
    assert capsys.readouterr() == ("a/:smile:/proof\n", "the other stream\n")

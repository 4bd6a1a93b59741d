"""These functions write to the terminal; progress is shown only if standard error is one."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from getpass import GetPassWarning
from textwrap import wrap
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.status import Status
from rich.text import Text

from pol_jax.errors import UsageError, printable
from pol_jax.protocol.stages import Stage

WIDTH_OF_TABLE: Final = 70
"""A terminal of fewer columns would cut a table: its rows are printed below each other."""

_NARROWEST_BAR: Final = 64
"""A terminal of fewer columns has no room for a bar, its speed and the time that is left."""


def make_console(*, stderr: bool = False) -> Console:
    """Return a console, which is wide and without colours if its output is no terminal."""
    # In a notebook, rich would show lines beside the command's output, and not in it.
    console = Console(stderr=stderr, highlight=False, emoji=False, force_jupyter=False)
    # Without a terminal, rich would wrap lines at 80 columns, which makes them hard to search.
    if console.is_terminal:
        return console
    return Console(stderr=stderr, highlight=False, emoji=False, force_jupyter=False, width=120)


def print_line(console: Console, line: str, style: str | None = None, indent: int = 0) -> None:
    """Print a line that may quote a proof: no markup, and no break inside of a word, a path or a digest.

    On a terminal it is wrapped between words. A word that is longer than the terminal is left whole, so that it can be
    copied; elsewhere nothing is wrapped, so that lines can be searched.
    """
    before = " " * indent
    width = console.width if console.is_terminal else 2**31
    parts = wrap(
        line, width, initial_indent=before, subsequent_indent=before, break_long_words=False, break_on_hyphens=False
    )
    for part in parts or [""]:
        console.print(harmless(part), style=style, markup=False, soft_wrap=True)


def harmless(text: str) -> str:
    """Return a text, whole, in a form that no terminal obeys: control characters of a proof could write a verdict."""
    return printable(text, len(text))


def say(line: str, *, style: str | None = None, err: bool = False, indent: int = 0) -> None:
    """Print a line as `print_line` does, to standard output or standard error."""
    print_line(make_console(stderr=err), line, style, indent)


def print_facts(console: Console, facts: Sequence[tuple[str, str]], widest: int) -> None:
    """Print names and values below each other; a value that does not fit beside its name is below it."""
    facts = [(harmless(name), harmless(value)) for name, value in facts]
    column = min(widest, max(len(name) for name, _ in facts)) + 2
    for name, value in facts:
        room = console.width - column if console.is_terminal else 2**31
        begin = Text(name.ljust(column), "bold")
        if max(map(len, value.split()), default=0) > room:
            console.print(begin, soft_wrap=True)
            print_line(console, value, indent=2)
            continue
        first, *rest = wrap(value, room, break_on_hyphens=False) or [""]
        console.print(begin + first, soft_wrap=True)
        for line in rest:
            print_line(console, line, indent=column)


def print_command(console: Console, title: str, parts: Sequence[str], indent: int = 0) -> None:
    """Print a command that can be copied: where it takes several lines of a terminal, they end in backslashes."""
    parts = [harmless(part) for part in parts]
    whole = f"{' ' * indent}{title} {' '.join(parts)}"
    if not console.is_terminal or len(whole) < console.width:
        console.print(whole, markup=False, soft_wrap=True)
        return
    before = " " * (indent + 2)
    lines = wrap(
        " ".join(parts),
        console.width - 2,
        initial_indent=before,
        subsequent_indent=f"{before}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(" " * indent + title, markup=False)
    console.print(" \\\n".join(lines), markup=False, soft_wrap=True)


def quiet_libraries() -> None:
    """Silence the warnings of libraries, which are about their own internals."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("absl").setLevel(logging.CRITICAL + 1)


def ask_passphrase(what: str, *, new: bool = False) -> str:
    """Ask for a passphrase without showing it; a new one is asked for twice.

    Raises:
        UsageError: there is nobody to ask.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GetPassWarning)  # a passphrase from a pipe is not shown anyway
            return str(click.prompt(what, hide_input=True, confirmation_prompt=new, err=True))
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)  # after the question
        raise UsageError(
            f"{what}: nobody answers here; run it in a terminal, or write the answer to its input"
        ) from None


class Bars:
    """Bars show progress on standard error if it is a terminal; see `pol_jax.progress.Progress`."""

    def __init__(self) -> None:
        """Make bars that draw nothing until the first `begin`."""
        self._console = make_console(stderr=True)
        self._bars: RichProgress | None = None
        self._status: Status | None = None

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Show a new bar in place of the old one; ``total`` is 0 if nobody knows it."""
        if not self._console.is_terminal:
            return
        self.end()
        # The description may be that of a process that a proof has taken over: no markup.
        counts = (TextColumn("{task.description}", markup=False), MofNCompleteColumn())
        loss = TextColumn("{task.fields[loss]}")
        columns: tuple[ProgressColumn, ...] = (counts[0], BarColumn(), counts[1], _Speed(), TimeRemainingColumn(), loss)
        if self._console.width < _NARROWEST_BAR:  # they would cut the counts
            columns = (*counts, loss)
        self._bars = RichProgress(*columns, console=self._console)
        self._bars.start()
        self._bars.add_task(what, total=total or None, completed=done, loss="")

    def at(self, done: int, loss: float | None = None) -> None:
        """Move the bar."""
        if self._bars:
            self._bars.update(self._bars.task_ids[0], completed=done, loss="" if loss is None else f"loss {loss:.4f}")

    def stage(self, number: int) -> None:
        """Show which stage of a verification goes on."""
        if not self._console.is_terminal or self._bars:  # a bar and this line would write over each other
            return
        self._status = self._status or self._console.status("")
        self._status.update(f"stage {number}: {Stage(number).title}")
        self._status.start()

    def end(self) -> None:
        """Leave the bar as it is, and remove the line of the stage."""
        if self._status:
            self._status.stop()
        if self._bars:
            self._bars.stop()
            self._bars = None


class _Speed(ProgressColumn):
    """This column shows how many units are done each second."""

    def render(self, task: RichTask) -> Text:
        """Return the speed, or an empty text while it is not known."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="cyan")

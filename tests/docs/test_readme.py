"""The README's examples run as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from commands import pol
from places import ROOT

from pol_jax.cli import main as cli

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands() -> list[list[str]]:
    """The words of each call of `pol` in a block for the shell."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("pol ")]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.usefixtures("in_process")
def test_the_python_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {}
    train, own_loop = blocks("python")
    exec(compile(train, "README.md", "exec"), names)  # noqa: S102  # it is ours
    assert bool(names["report"])
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert names["params"]["w"].shape == (64, 2)
    exec(compile(own_loop, "README.md", "exec"), names)  # noqa: S102
    (tmp_path / "mine.py").write_text(train.split("proof = ")[0])
    (said,) = re.findall(r"`pol (verify proof --task mine:task)`", README)
    assert pol(*said.split()).exit_code == 0


def test_every_command_takes_what_the_readme_gives_it() -> None:
    """Names of options, and values of the right kind; nothing is run."""
    found = commands()
    assert len(found) > 25
    for _, name, *arguments in found:
        if arguments == ["..."] or "..." in arguments:
            arguments = ["digits", "--out", "proof", *arguments[arguments.index("...") + 1 :]]
        command = cli.pol.get_command(click.Context(cli.pol), name)
        assert command, name
        with command.make_context(name, list(arguments), obj={}):
            pass


def test_every_command_is_in_the_readme() -> None:
    left_out = {"attack", "merge-reports"}  # they have documents of their own
    told = set(re.findall(r"\bpol ([a-z-]+)", README))
    assert not set(cli.pol.commands) - told - left_out

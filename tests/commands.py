"""Run the command line as its users do."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import click
from click.testing import CliRunner, Result
from places import TESTS

from pol_jax.cli import main as cli
from pol_jax.errors import PolError


def pol(*arguments: str | Path, answers: str | None = None) -> Result:
    """Run a command in this process; errors of the package become what `main` makes of them.

    Args:
        arguments: of the command line.
        answers: lines that are typed when it asks.
    """
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(cli.pol, words, input=answers, obj={"words": words})
    if isinstance(result.exception, PolError):
        result.exit_code, result.stderr_bytes = result.exception.exit_code, f"pol: {result.exception}\n".encode()
    elif result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def options_of(command: click.Command) -> set[str]:
    """Names of the options and arguments that a command passes on."""
    return {each.name or "" for each in command.params if each.expose_value}


def read_by(function: Callable[..., object]) -> set[str]:
    """Names that a function takes, with those of the options that it takes as one value."""
    hints = get_type_hints(function)
    taken = {name: hints[name] for name in inspect.signature(function).parameters}
    return {
        name
        for parameter, kind in taken.items()
        for name in ([field.name for field in fields(kind)] if is_dataclass(kind) else [parameter])
    }


def environment() -> dict[str, Any]:
    return os.environ | {"PYTHONPATH": str(TESTS), "TERM": "xterm-256color"}

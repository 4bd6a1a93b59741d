"""Backends that are measured, and what is shown of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import tiny
from click.testing import CliRunner
from rich.console import Console

from pol_jax.backends import runner
from pol_jax.backends.description import Backend
from pol_jax.backends.results import BackendOutcome, Results
from pol_jax.backends.summary import backend_summary
from pol_jax.cli import main as cli

SOURCE = tiny.plain().source


STEPS = (1, 8, 9, 10, 24)


_variables = runner._variables


def variables_with_cache(backend: Backend) -> dict[str, str]:
    """In place of `runner._variables`: what the tests have compiled before under the same flags is not compiled again.

    What a key of their cache names is what XLA reads: the program, the processor, all flags. A user's cache may be
    older than that.
    """
    return _variables(backend) | {"JAX_ENABLE_COMPILATION_CACHE": "true"}


def interpreter(path: Path, line: str) -> str:
    """A program that is started as if it were Python."""
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def outcome(found: Results, name: str) -> BackendOutcome:
    return next(each for each in found.outcomes if each.backend.name == name)


def shown(parts: tuple[Results, ...], d_ref: float | None = None) -> str:
    written = io.StringIO()
    console = Console(file=written, width=160)
    console.print(backend_summary(parts, d_ref), soft_wrap=True)
    return written.getvalue()


def pol(*arguments: str | Path) -> Any:
    return CliRunner().invoke(cli.pol, ["backends", *map(str, arguments)])


def one_more(folder: Path) -> Path:
    """A file with one backend, which costs one process."""
    path = folder / "more.toml"
    path.write_text(
        '[[backend]]\nname = "one more"\nplatform = "cpu"\nxla_flags = ["--xla_backend_optimization_level=0"]\n'
    )
    return path

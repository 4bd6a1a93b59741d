"""The commands to learn from pass on each of their options."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest
from commands import options_of, read_by

from pol_jax.cli.attack import attack_command
from pol_jax.cli.backends import backends_command
from pol_jax.cli.diff import diff_command
from pol_jax.cli.study_commands import COMMANDS, attack, backends, diff


@pytest.mark.parametrize(
    ("command", "call"),
    [(diff, diff_command), (backends, backends_command), (attack, attack_command)],
)
def test_each_option_is_read(command: click.Command, call: Callable[..., object]) -> None:
    assert options_of(command) == read_by(call)


def test_commands_have_names_and_one_line_of_help() -> None:
    assert [command.name for command in COMMANDS] == ["inspect", "diff", "backends", "attack"]
    assert all(command.short_help and len(command.short_help) < 50 for command in COMMANDS)

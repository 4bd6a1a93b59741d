"""The commands of a prover pass on each of their options."""

from __future__ import annotations

from dataclasses import fields

from commands import options_of, read_by

from pol_jax.cli.openings import open_command
from pol_jax.cli.proving_commands import COMMANDS, open_steps, train
from pol_jax.cli.train_options import TrainOptions


def test_each_option_of_train_is_read() -> None:
    assert options_of(train) == {"task", *(field.name for field in fields(TrainOptions))}


def test_each_option_of_open_is_read() -> None:
    assert options_of(open_steps) == read_by(open_command)


def test_commands_have_names_and_one_line_of_help() -> None:
    assert [command.name for command in COMMANDS] == ["train", "open"]
    assert all(command.short_help and len(command.short_help) < 50 for command in COMMANDS)

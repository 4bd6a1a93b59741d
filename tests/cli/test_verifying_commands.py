"""The commands of a verifier pass on each of their options, and mean the same by the same name."""

from __future__ import annotations

from dataclasses import fields

from commands import options_of, pol, read_by

from pol_jax.cli.challenge import challenge_command
from pol_jax.cli.verifier_options import VerifierOptions
from pol_jax.cli.verify import verify_command
from pol_jax.cli.verifying_commands import COMMANDS, challenge, merge_reports, verify
from pol_jax.protocol.policies import METRICS

COMMON = {field.name for field in fields(VerifierOptions)}


def test_each_option_is_read() -> None:
    of_openings = {"opening", "steps"}
    assert options_of(verify) >= COMMON
    assert options_of(verify) - of_openings <= read_by(verify_command)
    assert options_of(merge_reports) <= read_by(verify_command)
    assert options_of(challenge) == read_by(challenge_command)


def test_options_of_two_commands_with_one_name_are_of_one_type() -> None:
    known = {each.name: each for each in verify.params}
    for each in merge_reports.params:
        if each.name in COMMON:
            assert each.name in known
            assert (each.multiple, each.to_info_dict()["type"]) == (
                known[each.name].multiple,
                known[each.name].to_info_dict()["type"],
            )


def test_steps_are_those_of_an_opening() -> None:
    refused = pol("verify", "nowhere", "--steps", "1")
    assert (refused.exit_code, "--steps: names the steps of an opening" in refused.stderr) == (2, True)


def test_commands_have_names_and_one_line_of_help() -> None:
    assert [command.name for command in COMMANDS] == ["verify", "merge-reports", "challenge"]
    assert all(command.short_help and len(command.short_help) < 50 for command in COMMANDS)


def test_metrics_are_those_of_the_policies() -> None:
    (metric,) = (option for option in verify.params if option.name == "metric")
    assert tuple(metric.type.choices) == METRICS  # type: ignore[attr-defined]

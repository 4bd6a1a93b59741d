"""This module defines the commands that decide nothing: they show, compare, measure and forge, to learn from it.

What a command does is imported when it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_PROOF = click.argument("proof", type=_FOLDER)


@click.command(short_help="Show what PROOF says about itself.")
@_PROOF
def inspect(proof: Path) -> None:
    """Show what PROOF claims, such as task, steps, sizes and learning curve, without checking it."""
    from pol_jax.cli.inspect import inspect_command

    inspect_command(proof)


@click.command(short_help="Find where two runs diverge.")
@click.argument("a", type=_FOLDER)
@click.argument("b", type=_FOLDER)
def diff(a: Path, b: Path) -> None:
    """Find the first step at which two runs diverge. The exit code is 1 if they do."""
    from pol_jax.cli.diff import diff_command

    sys.exit(diff_command(a, b))


@click.command(short_help="Measure errors across XLA backends.")
@click.argument("paths", nargs=-1, metavar="[PROOF]", type=click.Path(path_type=Path))
@click.option("--opening", type=_FILE, help="Replay this opening (pol open) in place of PROOF.")
@click.option("--merge", is_flag=True, help="Merge files of results instead: pol backends --merge FILE...")
@click.option(
    "--steps", metavar="LIST", help="Replay these steps, such as 1,300-309; a range is a segment.  [default: a few]"
)
@click.option("--config", type=_FILE, help="TOML file with [[backend]] tables that describe more backends.")
@click.option("--only", multiple=True, metavar="NAME", help="Use this backend or platform only; may be repeated.")
@click.option(
    "--d-ref", type=click.FloatRange(0, min_open=True), metavar="X", help="Show errors as a share of this distance too."
)
@click.option("--out", type=_FOLDER, help="Write results.json, tables and figures to this directory.")
@click.option("--machine", metavar="TEXT", help="Name of this machine in the results.  [default: its processor]")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 1e6),
    default=600,
    show_default=True,
    help="Give up on a backend after so many seconds.",
)
@click.option("--task", help="Task whose records are used.  [default: the built-in one that the proof names]")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--private", type=_FILE, help="The file of secret bytes, for salted records.")
def backends(paths: tuple[Path, ...], **options: object) -> None:
    """Measure the reproduction error of steps of PROOF across XLA backends, each in a process of its own.

    For another machine, run pol backends --opening FILE --out DIR there, then anywhere pol backends --merge FILE...
    """
    from pol_jax.cli.backends import BackendsOptions, backends_command

    sys.exit(backends_command(paths, BackendsOptions(**options)))  # type: ignore[arg-type]


@click.command(short_help="Forge a proof, to try verifiers.")
@click.argument("words", nargs=-1, metavar="[NAME] PROOF")
@click.option("--all", "every", is_flag=True, help="Forge by every attack that the task allows, each in DIR/NAME.")
@click.option("--out", type=_FOLDER, required=True, metavar="DIR", help="Directory of what is forged.")
@click.option("--task", help="Task of PROOF.  [default: the built-in one that the proof names]")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option(
    "--d-ref",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="l2 distance between the parameters of two honest trainings; the paper's rule allows a share of it.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides what the forger draws.")
def attack(words: tuple[str, ...], **options: object) -> None:
    """Forge a proof of the model of PROOF by the attack NAME, and judge it by the rule of the 2021 paper.

    Run pol verify to see what it says of the forged proof. docs/attacks.md lists all attacks with their results.
    """
    from pol_jax.cli.attack import attack_command

    sys.exit(attack_command(words, **options))  # type: ignore[arg-type]


COMMANDS = (inspect, diff, backends, attack)

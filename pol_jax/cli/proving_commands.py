"""This module defines the commands of a prover: to train with a proof, and to open steps of it.

What a command does is imported when it runs.
"""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_PROOF = click.argument("proof", type=_FOLDER)


@click.command(short_help="Train TASK with a proof.")
@click.argument("task")
@click.option("--out", type=_FOLDER, required=True, help="Directory of the proof; an interrupted run continues.")
@click.option("--steps", type=click.IntRange(1), help="Steps to train.  [default: the task's]")
@click.option("--interval", type=click.IntRange(1), help="Steps between checkpoints.  [default: the task's]")
@click.option(
    "--witness-interval",
    type=click.IntRange(1),
    metavar="W",
    help="Steps between digests of the state.  [default: the fewest that cost under 2%]",
)
@click.option("--keep-every", type=click.IntRange(1), metavar="M", help="Keep every M-th checkpoint.  [default: all]")
@click.option("--self-check", metavar="1/N", help="Execute one segment of N twice, to find silent data corruption.")
@click.option("--seed", default=None, help="Any text; it decides PRNG keys and order of records.  [default: 0]")
@click.option("--key", type=_FILE, help="Your private key (pol keygen): it signs the commitment and the claim.")
@click.option(
    "--beacon", metavar="FILE|TEXT", help="A drand round (JSON), or any public random value: the run began after it."
)
@click.option("--private", type=_FILE, help="File of 32 secret bytes that salt the records of a private data set.")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--start-from", type=_FOLDER, metavar="PROOF", help="Fine-tune: begin with the final state of a proof.")
@click.option(
    "--start-from-weights",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Fine-tune: begin with weights of unproven origin (Orbax, .safetensors, .npz).",
)
@click.option(
    "--take",
    multiple=True,
    metavar="[FROM=]PATH",
    help="Take over the leaves below PATH, such as /params, from below FROM.  [default: all]",
)
@click.option(
    "--max-constants", type=click.IntRange(0), metavar="BYTES", help="Largest size of the constants in the programs."
)
@click.option("--evaluate/--no-evaluate", default=True, help="Run the task's own evaluation after the last step.")
@click.option(
    "--arithmetic", type=click.Choice(["exact"]), help="Train with the same bits on every backend, at a cost in speed."
)
@click.option("--may-stop-early", is_flag=True, help="Commit to at most this many steps; verifiers are told.")
@click.option("--commit-only", is_flag=True, help="Commit and stop before step 1, to have the commitment timestamped.")
def train(task: str, **options: object) -> None:
    """Train TASK with a proof. TASK is digits, cifar10, cifar100, shakespeare, or module:attribute.

    If the run is interrupted at any moment, the same command continues it.
    """
    from pol_jax.cli.train import train_command
    from pol_jax.cli.train_options import TrainOptions

    train_command(task, TrainOptions(**options))  # type: ignore[arg-type]


@click.command("open", short_help="Reveal challenged steps of PROOF.")
@_PROOF
@click.option("--out", type=_FILE, required=True, help="File to write the opening to.")
@click.option("--steps", metavar="LIST", help="Open these steps, such as 1,40-42.")
@click.option("--nonce", metavar="HEX", help="Open the steps that this nonce draws (pol challenge).")
@click.option("--nonce-round", metavar="FILE", type=_FILE, help="Open the steps that this drand round draws.")
@click.option("--confidence", type=float, help="Confidence of the draw.  [default: 0.99]")
@click.option("--fraction", type=float, help="Fraction of the draw.  [default: 0.05]")
@click.option("--task", "task", help="Task whose records are used.  [default: the built-in one that the proof names]")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--private", type=_FILE, help="The file of secret bytes, for salted records.")
def open_steps(proof: Path, **options: object) -> None:
    """Reveal challenged steps of PROOF: states before and after, records and ledger rows, with inclusion proofs.

    An opening has the initial and the final state too, whatever steps are asked for.

    The states are computed again. Nothing is written if this machine does not get them bit for bit.
    """
    from pol_jax.cli.openings import OpenOptions, open_command

    open_command(proof, OpenOptions(**options))  # type: ignore[arg-type]


COMMANDS = (train, open_steps)

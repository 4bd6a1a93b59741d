"""``pol``: names, options and exit codes. What a command does is in its own module, imported when it runs."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import click

from pol_jax.errors import PolError, UsageError

_INTERRUPTED, _BUG = 130, 70
"""What a shell gives for Ctrl-C, and what sysexits.h calls EX_SOFTWARE."""

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_PROOF = click.argument("proof", type=_FOLDER)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pol_jax")
def pol() -> None:
    """Proof-of-Learning for JAX: train with a proof, check a proof by replay.

    Exit codes: 0 accepted or done, 1 rejected, 3 inconclusive, 2 the call or its input is wrong.
    """


@pol.command()
@click.argument("task")
@click.option("--out", type=_FOLDER, required=True, help="Directory of the proof; goes on with what is there.")
@click.option("--steps", type=click.IntRange(1), help="Steps to train.  [default: the task's]")
@click.option("--interval", type=click.IntRange(1), help="Steps between checkpoints.  [default: the task's]")
@click.option("--keep-every", type=click.IntRange(1), metavar="M", help="Keep every M-th checkpoint.  [default: all]")
@click.option("--seed", default=None, help="Any text; decides keys and order.  [default: 0]")
@click.option("--key", type=_FILE, help="Your private key (pol keygen); its public half is committed to.")
@click.option("--beacon", default=None, help="A public random value, to show that the run began after it.")
@click.option("--private", type=_FILE, help="File of 32 secret bytes that salt the records of private data.")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--start-from", type=_FOLDER, metavar="PROOF", help="Fine-tune: begin with the final state of a proof.")
@click.option("--start-from-weights", type=_FOLDER, metavar="DIR", help="...or of an Orbax checkpoint: unproven.")
@click.option(
    "--take", multiple=True, metavar="PATH", help="Of that, the leaves below, such as /params.  [default: all]"
)
@click.option("--max-constants", type=click.IntRange(0), metavar="BYTES", help="Constants the programs may hold.")
def train(task: str, **options: object) -> None:
    """Train TASK with a proof: digits, cifar10, cifar100, shakespeare, or module:attribute.

    Killed at any moment, the same command goes on by itself.
    """
    from pol_jax.cli.train import train_command

    train_command(task, **options)  # type: ignore[arg-type]


@pol.command()
@click.argument("proof", type=click.Path(path_type=Path))
@click.option("--opening", type=_FILE, help="Check what pol open wrote against PROOF's claim.json; needs no more.")
@click.option("--steps", metavar="LIST", help="Of an opening: the steps that were asked for, such as 1,40-42.")
@click.option("--confidence", type=float, help="Meet a false random segment this surely...  [default: 0.99]")
@click.option("--fraction", type=float, help="...if this share is false.  [default: 0.05]")
@click.option("--top-q", type=click.IntRange(1), metavar="Q", help="Replay the largest updates of each epoch...")
@click.option("--metric", type=click.Choice(["l1", "l2", "linf", "cosine"]), help="...by this.  [default: l2]")
@click.option("--segments", metavar="LIST", help="Replay these, such as 0,3,7-9.")
@click.option("--all", "everything", is_flag=True, help="Replay every segment.")
@click.option("--nonce", metavar="HEX", help="Repeat the draw of an earlier report.  [default: fresh]")
@click.option(
    "--task", multiple=True, help="Trusted task: its records, and its program.  [default: the proof's, if built in]"
)
@click.option("--parent", multiple=True, type=_FOLDER, metavar="DIR", help="A proof that PROOF starts from.")
@click.option("--same-program", is_flag=True, help="Accept no program but that of --task.")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--private", type=_FILE, help="The file of secret bytes, for salted records.")
@click.option("--max-constants", type=click.IntRange(0), metavar="BYTES", help="Constants the programs may hold.")
@click.option(
    "--timeout", type=click.FloatRange(1, 1e6), default=900, show_default=True, help="Seconds without a sign of life."
)
@click.option("--total-timeout", type=click.FloatRange(1, 1e9), metavar="SECONDS", help="For all.  [default: no limit]")
@click.option(
    "--d-ref", type=click.FloatRange(0, min_open=True), metavar="L2", help="Distance between two honest trainings."
)
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Processes that replay.  [default: 1]")
@click.option("--unconfined", is_flag=True, help="Let the process that reads PROOF use files and network as you may.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the report here; - for standard output.",
)
@click.option("--html", "html_file", type=_FILE, help="Write the report here, as one page for a browser.")
def verify(proof: Path, opening: Path | None, steps: str | None, **options: object) -> None:
    """Check PROOF, and replay randomly chosen segments of it.

    --top-q replays the largest updates instead; with --confidence or --fraction, both these and random ones.

    A proof that starts from another one needs that as --parent, and that one's own parents; each is verified alike. The
    records of each are those of the --task of the same name, if several are given; else as for PROOF.
    """
    if opening is not None:
        from pol_jax.cli.openings import verify_opening_command

        sys.exit(verify_opening_command(proof, opening, steps, **options))  # type: ignore[arg-type]
    if steps is not None:
        raise UsageError("--steps: are those of an opening; give --opening FILE, or --segments LIST")
    from pol_jax.cli.verify import verify_command

    sys.exit(verify_command(proof, **options))  # type: ignore[arg-type]


@pol.command()
@click.argument("claim", type=click.Path(path_type=Path))
@click.option("--confidence", type=float, help="Meet a false step this surely...  [default: 0.99]")
@click.option("--fraction", type=float, help="...if this share is false.  [default: 0.05]")
@click.option("--nonce", metavar="HEX", help="Repeat an earlier draw.  [default: fresh]")
def challenge(claim: Path, **options: object) -> None:
    """Draw random steps of the run that CLAIM is about (claim.json, or a proof): what to ask the prover to open."""
    from pol_jax.cli.openings import challenge_command

    challenge_command(claim, **options)  # type: ignore[arg-type]


@pol.command("open")
@_PROOF
@click.option("--out", type=_FILE, required=True, help="The opening: one file.")
@click.option("--steps", metavar="LIST", help="Open these, such as 1,40-42.")
@click.option("--nonce", metavar="HEX", help="Open the steps that this nonce draws (pol challenge).")
@click.option("--confidence", type=float, help="Of the draw.  [default: 0.99]")
@click.option("--fraction", type=float, help="Of the draw.  [default: 0.05]")
@click.option("--task", "task", help="Task whose records to use.  [default: the built-in one that the proof names]")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--private", type=_FILE, help="The file of secret bytes, for salted records.")
def open_steps(proof: Path, **options: object) -> None:
    """Reveal challenged steps of PROOF: states before and after, records, ledger rows, with inclusion proofs.

    Nothing is written on a machine that can't regenerate the states bit for bit.
    """
    from pol_jax.cli.openings import open_command

    open_command(proof, **options)  # type: ignore[arg-type]


@pol.command()
@_PROOF
def inspect(proof: Path) -> None:
    """Show what PROOF claims: task, steps, sizes, learning curve. Checks nothing."""
    from pol_jax.cli.inspect import inspect_command

    inspect_command(proof)


@pol.command()
@click.argument("a", type=_FOLDER)
@click.argument("b", type=_FOLDER)
def diff(a: Path, b: Path) -> None:
    """Find the first step where two runs diverge. Exit code 1 if they do."""
    from pol_jax.cli.diff import diff_command

    sys.exit(diff_command(a, b))


@pol.command()
@click.argument("paths", nargs=-1, metavar="[PROOF]", type=click.Path(path_type=Path))
@click.option("--opening", type=_FILE, help="Replay what pol open wrote, in place of PROOF; needs no more.")
@click.option("--merge", is_flag=True, help="Join results files instead: pol backends --merge FILE...")
@click.option("--steps", metavar="LIST", help="Such as 1,300-309; steps in a row are a segment too.  [default: a few]")
@click.option("--config", type=_FILE, help="TOML file with [[backend]] tables: more backends.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this backend, or this platform; may be repeated.")
@click.option("--d-ref", type=click.FloatRange(0, min_open=True), metavar="X", help="Give errors over this l2 too.")
@click.option("--out", type=_FOLDER, help="Write results.json, tables and figures here.")
@click.option("--machine", metavar="TEXT", help="What the results call this machine.  [default: its processor]")
@click.option(
    "--timeout", type=click.FloatRange(1, 1e6), default=600, show_default=True, help="Seconds for each backend."
)
@click.option("--task", help="Task whose records to use.  [default: the built-in one that the proof names]")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--private", type=_FILE, help="The file of secret bytes, for salted records.")
def backends(paths: tuple[Path, ...], **options: object) -> None:
    """Measure the reproduction error of steps of PROOF across XLA backends, each in a process of its own.

    On another machine: pol backends --opening FILE --out DIR; then, anywhere: pol backends --merge FILE...
    """
    from pol_jax.cli.backends import backends_command

    sys.exit(backends_command(paths, **options))  # type: ignore[arg-type]


@pol.command()
@click.argument("file", type=_FILE)
def keygen(file: Path) -> None:
    """Make an Ed25519 key and write it to FILE."""
    from pol_jax.attesting.key_files import write_new_key

    click.echo(write_new_key(file))


def main() -> None:
    """Entry point: errors of the package become one line and an exit code."""
    sys.unraisablehook = _show_unraisable
    try:
        sys.exit(pol(standalone_mode=False))
    except PolError as error:
        click.echo(f"pol: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("pol: interrupted; what is recorded stays", err=True)
        sys.exit(_INTERRUPTED)
    except Exception:  # noqa: BLE001  # a bug is no verdict: not Python's exit code 1
        traceback.print_exc()
        sys.exit(_BUG)


def _show_unraisable(event: Any) -> None:
    """As Python does, but for one: a thread of tensorstore that reports to an event loop which Orbax has closed.

    It does after a failed save or load, at any time, from no object; what failed was said in one line.
    """
    late = isinstance(event.exc_value, RuntimeError) and str(event.exc_value) == "Event loop is closed"
    if not (late and event.object is None):
        sys.__unraisablehook__(event)

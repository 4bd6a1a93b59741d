"""This module is the command line, ``pol``: its commands, and what its errors and exit codes are.

Names and options of the commands are in ``*_commands``. What a command does is in a module of its own, which is
imported when the command runs: ``pol --help`` stays fast.
"""

from __future__ import annotations

import io
import sys
import traceback
from typing import Any

import click

from pol_jax.cli import attestation_commands, proving_commands, study_commands, verifying_commands
from pol_jax.errors import PolError, UserCodeError

_INTERRUPTED, _BUG = 130, 70
"""The first exit code is what shells give for Ctrl-C, the second is EX_SOFTWARE of sysexits.h."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pol_jax")
def pol() -> None:
    """Proof-of-Learning for JAX: train with a proof, and check a proof by replaying a part of it.

    Exit codes: 0 accepted or done, 1 rejected, 3 inconclusive, 2 the call or its input is wrong.
    """


<<<<<<< HEAD
@pol.command(short_help="Train TASK with a proof.")
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

    train_command(task, **options)  # type: ignore[arg-type]


@pol.command(short_help="Check PROOF by replaying a part of it.")
@click.argument("proof", type=click.Path(path_type=Path))
@click.option("--opening", type=_FILE, help="Check this opening (pol open); PROOF is then a claim.json.")
@click.option("--steps", metavar="LIST", help="With --opening: the steps that were asked for, such as 1,40-42.")
@click.option(
    "--confidence", type=float, help="Probability that the random segments include a false one...  [default: 0.99]"
)
@click.option("--fraction", type=float, help="...if this share of all segments is false.  [default: 0.05]")
@click.option("--top-q", type=click.IntRange(1), metavar="Q", help="Replay the Q largest updates of each epoch...")
@click.option("--metric", type=click.Choice(["l1", "l2", "linf", "cosine"]), help="...by this metric.  [default: l2]")
@click.option("--segments", metavar="LIST", help="Replay these segments, such as 0,3,7-9.")
@click.option("--all", "everything", is_flag=True, help="Replay every segment.")
@click.option("--nonce", metavar="HEX", help="Repeat the draw of an earlier report.  [default: random]")
@click.option(
    "--nonce-round", metavar="FILE", type=_FILE, help="Draw by this drand round (JSON), for a public challenge."
)
@click.option(
    "--task", multiple=True, help="A task you trust, for its records and program.  [default: the proof's, if built in]"
)
@click.option("--parent", multiple=True, type=_FOLDER, metavar="DIR", help="An earlier proof that PROOF starts from.")
@click.option("--same-program", is_flag=True, help="Reject another program than that of --task.")
@click.option("--any-program", is_flag=True, help="Accept another one too.  [default: inconclusive]")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--private", type=_FILE, help="The file of secret bytes, for salted records.")
@click.option(
    "--max-constants", type=click.IntRange(0), metavar="BYTES", help="Largest size of the constants in the programs."
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 1e6),
    default=900,
    show_default=True,
    help="Give up after so many seconds without progress.",
)
@click.option(
    "--total-timeout",
    type=click.FloatRange(1, 1e9),
    metavar="SECONDS",
    help="Give up after so many seconds.  [default: no limit]",
)
@click.option(
    "--d-ref", type=click.FloatRange(0, min_open=True), metavar="L2", help="l2 distance between two honest trainings."
)
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Number of processes that replay.  [default: 1]")
@click.option("--shard", metavar="I/N", help="Execute the I-th of N shares alone, and write what it finds (--out).")
@click.option("--out", type=_FILE, metavar="FACTS", help="With --shard: the file for pol merge-reports.")
@click.option("--ray", metavar="ADDRESS", help="Spread the replays over a running Ray cluster (extra: ray).")
@click.option("--follow", is_flag=True, help="Check a run while it goes on, and verify it when it is finished.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help="With --follow: this share of its segments is replayed as they land.  [default: 0.1]",
)
@click.option(
    "--stall",
    type=click.FloatRange(1, 1e9),
    metavar="SECONDS",
    help="With --follow: give the run up after so long without anything new.  [default: 3600]",
)
@click.option("--exact", is_flag=True, help="Accept equal bits only, and nothing within a tolerance.")
@click.option(
    "--leaves",
    multiple=True,
    metavar="PATH",
    help="Leaves that matter: a path, or what lies below one (/params). Others rank no updates; their drift is open.",
)
@click.option("--unconfined", is_flag=True, help="Do not restrict files and network of the process that reads PROOF.")
@click.option("--signer", metavar="KEY|FILE", help="The public key that must have signed the claim, from its owner.")
@click.option("--tsa-roots", metavar="PEM", type=_FILE, help="Root certificates of timestamping authorities you trust.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the report to this file; - is standard output.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Compare a model (.safetensors, .npz, Orbax) with the final state if PROOF is accepted.",
)
@click.option("--html", "html_file", type=_FILE, help="Write the report to this file, as one page for a browser.")
def verify(proof: Path, opening: Path | None, steps: str | None, **options: object) -> None:
    """Check PROOF, and replay random segments of it.

    --top-q replays the largest updates instead; with --confidence or --fraction, it replays random segments too.

    A proof that starts from an earlier one needs the earlier one as --parent, and its parents too; each of them is
    verified in the same way. If several --task are given, each proof gets the records of the task of its name.
    """
    if opening is not None:
        from pol_jax.cli.openings import verify_opening_command

        sys.exit(verify_opening_command(proof, opening, steps, **options))  # type: ignore[arg-type]
    if steps is not None:
        raise UsageError("--steps: names the steps of an opening; give --opening FILE, or --segments LIST")
    from pol_jax.cli.verify import verify_command

    sys.exit(verify_command(proof, **options))  # type: ignore[arg-type]


@pol.command("merge-reports", short_help="Judge PROOF by the facts of all shards.")
@_PROOF
@click.argument("facts", nargs=-1, required=True, type=_FILE)
@click.option("--task", multiple=True, help="As for pol verify.")
@click.option("--parent", multiple=True, type=_FOLDER, metavar="DIR", help="As for pol verify.")
@click.option("--same-program", is_flag=True, help="As for pol verify.")
@click.option("--any-program", is_flag=True, help="As for pol verify.")
@click.option("--exact", is_flag=True, help="As for pol verify.")
@click.option("--leaves", multiple=True, metavar="PATH", help="As for pol verify.")
@click.option("--data-dir", type=_FOLDER, help="As for pol verify.")
@click.option("--private", type=_FILE, help="As for pol verify.")
@click.option("--d-ref", type=click.FloatRange(0, min_open=True), metavar="L2", help="As for pol verify.")
@click.option("--signer", metavar="KEY|FILE", help="As for pol verify.")
@click.option("--tsa-roots", metavar="PEM", type=_FILE, help="As for pol verify.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), help="As for pol verify."
)
@click.option("--html", "html_file", type=_FILE, help="As for pol verify.")
def merge_reports(proof: Path, facts: tuple[Path, ...], **options: object) -> None:
    """Judge PROOF by the FACTS of all shards (pol verify --shard), on the backend on which they were found.

    The report is that of a verification without shards.
    """
    from pol_jax.cli.verify import verify_command

    left_out = dict.fromkeys(
        ("confidence", "fraction", "top_q", "metric", "segments", "nonce", "nonce_round", "model", "jobs")
    )
    limits = {"timeout": 900.0, "total_timeout": None, "unconfined": False, "max_constants": None, "everything": False}
    sys.exit(verify_command(proof, facts=facts, **left_out, **limits, **options))  # type: ignore[arg-type]


@pol.command(short_help="Draw steps for a prover to open.")
@click.argument("claim", type=click.Path(path_type=Path))
@click.option(
    "--confidence", type=float, help="Probability that the random steps include a false one...  [default: 0.99]"
)
@click.option("--fraction", type=float, help="...if this share of all steps is false.  [default: 0.05]")
@click.option("--nonce", metavar="HEX", help="Repeat an earlier draw.  [default: random]")
@click.option(
    "--nonce-round", metavar="FILE", type=_FILE, help="Draw by this drand round (JSON), for a public challenge."
)
@click.option("--tsa-roots", metavar="PEM", type=_FILE, help="With it: the round must follow the claim's timestamp.")
def challenge(claim: Path, **options: object) -> None:
    """Draw random steps to open, and add the first and the last one. CLAIM is a claim.json, or a proof."""
    from pol_jax.cli.challenge import challenge_command

    challenge_command(claim, **options)  # type: ignore[arg-type]


@pol.command("open", short_help="Reveal challenged steps of PROOF.")
@_PROOF
@click.option("--out", type=_FILE, required=True, help="File to write the opening to.")
@click.option("--steps", metavar="LIST", help="Open these steps, such as 1,40-42.")
@click.option("--nonce", metavar="HEX", help="Open the steps that this nonce draws (pol challenge).")
@click.option("--nonce-round", metavar="FILE", type=_FILE, help="Likewise, by a drand round.")
@click.option("--confidence", type=float, help="Confidence of that draw.  [default: 0.99]")
@click.option("--fraction", type=float, help="Fraction of that draw.  [default: 0.05]")
@click.option("--task", "task", help="Task whose records are used.  [default: the built-in one that the proof names]")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
@click.option("--private", type=_FILE, help="The file of secret bytes, for salted records.")
def open_steps(proof: Path, **options: object) -> None:
    """Reveal challenged steps of PROOF: states before and after, records and ledger rows, with inclusion proofs.

    An opening has the initial and the final state too, whatever steps are asked for.

    The states are computed again. Nothing is written if this machine does not get them bit for bit.
    """
    from pol_jax.cli.openings import open_command

    open_command(proof, **options)  # type: ignore[arg-type]


@pol.command(short_help="Show what PROOF says about itself.")
@_PROOF
def inspect(proof: Path) -> None:
    """Show what PROOF claims, such as task, steps, sizes and learning curve, without checking it."""
    from pol_jax.cli.inspect import inspect_command

    inspect_command(proof)


@pol.command(short_help="Find where two runs diverge.")
@click.argument("a", type=_FOLDER)
@click.argument("b", type=_FOLDER)
def diff(a: Path, b: Path) -> None:
    """Find the first step at which two runs diverge. The exit code is 1 if they do."""
    from pol_jax.cli.diff import diff_command

    sys.exit(diff_command(a, b))


@pol.command(short_help="Measure errors across XLA backends.")
@click.argument("paths", nargs=-1, metavar="[PROOF]", type=click.Path(path_type=Path))
@click.option("--opening", type=_FILE, help="Replay this opening (pol open) in place of PROOF.")
@click.option("--merge", is_flag=True, help="Merge files of results instead: pol backends --merge FILE...")
@click.option(
    "--steps", metavar="LIST", help="Replay these steps, such as 1,300-309; a range is a segment.  [default: a few]"
)
@click.option("--config", type=_FILE, help="TOML file with [[backend]] tables that describe more backends.")
@click.option("--only", multiple=True, metavar="NAME", help="Use this backend or platform only; may be repeated.")
@click.option(
    "--d-ref", type=click.FloatRange(0, min_open=True), metavar="X", help="Show errors as a share of this l2 too."
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
    from pol_jax.cli.backends import backends_command

    sys.exit(backends_command(paths, **options))  # type: ignore[arg-type]


@pol.command(short_help="Forge a proof, to try verifiers.")
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

    What pol verify makes of it is for you to see. docs/attacks.md has all attacks, and what they come to.
    """
    from pol_jax.cli.attack import attack_command

    sys.exit(attack_command(words, **options))  # type: ignore[arg-type]


for command in COMMANDS:
    pol.add_command(command)
=======
for module in (proving_commands, verifying_commands, study_commands, attestation_commands):
    for command in module.COMMANDS:
        pol.add_command(command)
>>>>>>> main


def _remember(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    context.ensure_object(dict)[parameter.name] = wanted


for command in pol.commands.values():
    command.params.append(
        click.Option(
            ["--traceback"], is_flag=True, expose_value=False, callback=_remember, help="Show all of an exception."
        )
    )


def main() -> None:
    """Run the command line; an error of the package becomes one line on standard error, and an exit code."""
    sys.unraisablehook = _show_unraisable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that can't show a character is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    asked: dict[str, Any] = {"words": sys.argv[1:]}
    try:
        sys.exit(pol(standalone_mode=False, obj=asked))
    except PolError as error:
        if asked.get("traceback"):
            traceback.print_exception(error)
        more = "; --traceback shows all of it" if isinstance(error, UserCodeError) else ""
        click.echo(f"pol: {error}{more}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("pol: interrupted; everything that was recorded is kept", err=True)
        sys.exit(_INTERRUPTED)
    except Exception:  # noqa: BLE001  # a bug must not exit with 1, as Python does: that means "rejected"
        traceback.print_exc()
        sys.exit(_BUG)


def _show_unraisable(event: Any) -> None:
    """Report an exception that nobody can catch, as Python does, with one exception.

    After a failed save or load, a thread of tensorstore reports to an event loop that Orbax has closed, at any time and
    from no object. It is left out, because what failed was reported before.
    """
    late = isinstance(event.exc_value, RuntimeError) and str(event.exc_value) == "Event loop is closed"
    if not (late and event.object is None):
        sys.__unraisablehook__(event)

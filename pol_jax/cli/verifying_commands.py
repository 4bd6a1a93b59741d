"""This module defines the commands of a verifier: to check a proof or an opening, and to challenge a prover.

What a command does is imported when it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pol_jax.errors import UsageError

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_PROOF = click.argument("proof", type=_FOLDER)


@click.command(short_help="Check PROOF by replaying a part of it.")
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
@click.option("--any-program", is_flag=True, help="Accept another program too.  [default: inconclusive]")
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
@click.option(
    "--memory",
    type=click.FloatRange(0.1, 1e6),
    metavar="GB",
    help="Most memory of a process that reads PROOF.  [default: what its documents imply]",
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
    from pol_jax.cli.verifier_options import split_options

    common, others = split_options(options)
    if opening is not None:
        from pol_jax.cli.openings import verify_opening_command

        sys.exit(verify_opening_command(proof, opening, steps, common, others))
    if steps is not None:
        raise UsageError("--steps: names the steps of an opening; give --opening FILE, or --segments LIST")
    from pol_jax.cli.verify import ProofOptions, verify_command

    sys.exit(verify_command(proof, common, ProofOptions(**others)))


@click.command("merge-reports", short_help="Judge PROOF by the facts of all shards.")
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
    from pol_jax.cli.verifier_options import split_options
    from pol_jax.cli.verify import ProofOptions, verify_command

    common, others = split_options(options)
    sys.exit(verify_command(proof, common, ProofOptions(facts=facts, **others)))


@click.command(short_help="Draw steps for a prover to open.")
@click.argument("claim", type=click.Path(path_type=Path))
@click.option(
    "--confidence", type=float, help="Probability that the random steps include a false one...  [default: 0.99]"
)
@click.option("--fraction", type=float, help="...if this share of all steps is false.  [default: 0.05]")
@click.option("--nonce", metavar="HEX", help="Repeat an earlier draw.  [default: random]")
@click.option(
    "--nonce-round", metavar="FILE", type=_FILE, help="Draw by this drand round (JSON), for a public challenge."
)
@click.option("--tsa-roots", metavar="PEM", type=_FILE, help="The drand round must follow the claim's timestamp.")
def challenge(claim: Path, **options: object) -> None:
    """Draw random steps to open, and add the first and the last one. CLAIM is a claim.json, or a proof."""
    from pol_jax.cli.challenge import challenge_command

    challenge_command(claim, **options)  # type: ignore[arg-type]


COMMANDS = (verify, merge_reports, challenge)

"""This module defines the commands about who trained, when, for whose eyes, and what was signed.

What a command does is imported when it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)


@click.command(short_help="Make a private key.")
@click.argument("file", metavar="KEY", type=_FILE)
@click.option("--passphrase", is_flag=True, help="Protect the key by a passphrase, which is asked for.")
def keygen(file: Path, passphrase: bool) -> None:
    """Make a private Ed25519 key, write it to KEY, and print its public half."""
    from pol_jax.attesting.key_files import write_new_key
    from pol_jax.cli.output_file import check_new
    from pol_jax.cli.terminal import ask_passphrase, say

    check_new(file)
    say(write_new_key(file, ask_passphrase("Passphrase", new=True) if passphrase else None))


@click.command(short_help="Sign the claim of PROOF.")
@click.argument("proof", type=_FOLDER)
@click.option("--key", type=_FILE, required=True, help="The private key whose public half the commitment names.")
@click.option("--model", type=_FILE, help="A deployed file; its digests are signed too.")
@click.option("--out", type=_FILE, help="File to write.  [default: in PROOF's attestations]")
def sign(proof: Path, **options: object) -> None:
    """Sign the claim of PROOF: final parameters and final state by digest (in-toto, DSSE)."""
    from pol_jax.cli.sign import sign_command

    sign_command(proof, **options)  # type: ignore[arg-type]


@click.command(short_help="Have it certified that FILE was there.")
@click.argument("file", type=_FILE)
@click.option("--tsa", metavar="URL", help="Ask this timestamping authority (RFC 3161).")
@click.option(
    "--request", type=_FILE, help="Without network: write the request to this file, or read it with --response."
)
@click.option("--response", type=_FILE, help="With --request: the authority's answer.")
@click.option("--out", type=_FILE, help="File to write the response to.")
def timestamp(file: Path, **options: object) -> None:
    """Have it certified that FILE was there: an envelope (pol sign), or a proof's commitment.json before step 0."""
    from pol_jax.cli.timestamp import timestamp_command

    timestamp_command(file, **options)  # type: ignore[arg-type]


@click.command(short_help="Check what needs no replay.")
@click.argument("path", type=_PATH)
@click.option("--proof", type=_FOLDER, help="The proof of the envelope PATH.  [default: the one beside it]")
@click.option("--signer", metavar="KEY|FILE", help="The public key that must have signed, from its owner.")
@click.option("--timestamp", metavar="TSR", type=_FILE, help="An authority's response over the envelope.")
@click.option("--commitment-timestamp", metavar="TSR", type=_FILE, help="An authority's response over commitment.json.")
@click.option("--tsa-roots", metavar="PEM", type=_FILE, help="Root certificates of the authorities that you trust.")
@click.option("--beacon-round", metavar="FILE", type=_FILE, help="The drand round that the commitment names, as JSON.")
@click.option("--model", type=_PATH, help="A deployed model (.safetensors, .npz) that must be what was signed.")
@click.option("--arrays", is_flag=True, help="Compare what was signed with the proof's final checkpoint too (slower).")
def check(
    path: Path,
    proof: Path | None,
    signer: str | None,
    timestamp: Path | None,
    commitment_timestamp: Path | None,
    tsa_roots: Path | None,
    beacon_round: Path | None,
    model: Path | None,
    arrays: bool,
) -> None:
    """Check what needs no replay: signature, time, documents. PATH is an envelope (pol sign), a proof, or a bundle.

    Exit codes: 0 nothing failed, 1 something failed, 3 something that was asked for stays open. It is no verdict about
    the training: pol verify gives one.
    """
    from pol_jax.cli.check import Tokens, check_command

    tokens = Tokens(timestamp, commitment_timestamp, tsa_roots, beacon_round)
    sys.exit(check_command(path, proof, signer, tokens, model, arrays))


@click.command(short_help="Write the small public part of PROOF.")
@click.argument("proof", type=_FOLDER)
@click.option("--out", type=_FOLDER, required=True, help="Directory to make.")
def publish(proof: Path, out: Path) -> None:
    """Write the public part of PROOF, kilobytes: commitment, claim, envelopes, timestamps, beacon.

    Who has it can check who claims what, and since when (pol check), challenge the prover (pol challenge), and verify
    the answer (pol verify DIR --opening FILE).
    """
    from pol_jax.cli.publish import publish_command

    publish_command(proof, out)


@click.command(short_help="Write the model of PROOF, with its claim.")
@click.argument("proof", type=_FOLDER)
@click.option("--safetensors", metavar="FILE", type=_FILE, help="Write the final parameters alone, to this file.")
@click.option("--hub", metavar="DIR", type=_FOLDER, help="Write model, model card, public part of the proof, report.")
@click.option("--report", metavar="JSON", type=_FILE, help="With --hub: a report of pol verify --json on PROOF.")
def export(proof: Path, **options: object) -> None:
    """Write the final parameters of PROOF with the digest of its claim in their metadata."""
    from pol_jax.cli.export import export_command

    export_command(proof, **options)  # type: ignore[arg-type]


@click.command(short_help="Decide between two proofs.")
@click.argument("first", type=_FOLDER)
@click.argument("second", type=_FOLDER)
@click.option("--model", type=_PATH, help="The model that is disputed (.safetensors, .npz, Orbax).")
@click.option("--parent", multiple=True, type=_FOLDER, metavar="DIR", help="An earlier proof that one starts from.")
@click.option("--task", multiple=True, help="A task you trust, for records and program.  [default: the built-in one]")
@click.option("--any-program", is_flag=True, help="Verify proofs with another program too; they stand for less.")
@click.option("--all", "everything", is_flag=True, help="Replay every segment.")
@click.option("--confidence", type=float, help="As for pol verify.  [default: 0.99]")
@click.option("--fraction", type=float, help="As for pol verify.  [default: 0.05]")
@click.option("--nonce", metavar="HEX", help="Repeat the draw of an earlier call.  [default: random]")
@click.option("--tsa-roots", metavar="PEM", type=_FILE, help="Root certificates of timestamping authorities you trust.")
@click.option("--data-dir", type=_FOLDER, help="TFDS data directory.")
def resolve(first: Path, second: Path, **options: object) -> None:
    """Verify FIRST and SECOND in the same way, and say whose claim stands, why, or that it can't be decided.

    Exit codes: 0 decided (the first line says for whom), 1 neither stands, 3 it can't be decided.
    """
    from pol_jax.cli.resolve import resolve_command
    from pol_jax.cli.verifier_options import split_options

    common, others = split_options(options)
    sys.exit(resolve_command(first, second, common, **others))


@click.command(short_help="Encrypt PROOF to readers.")
@click.argument("proof", type=_FOLDER)
@click.option(
    "--to", "recipients", metavar="RECIPIENT", multiple=True, required=True, help="age1..., or a file of them."
)
@click.option("--out", type=_FILE, required=True, help="File to write.")
def encrypt(proof: Path, recipients: tuple[str, ...], out: Path) -> None:
    """Encrypt PROOF to readers (age, X25519). --to may be repeated."""
    from pol_jax.attesting.encryption import encrypt as encrypt_directory
    from pol_jax.cli.output_file import check_new
    from pol_jax.cli.terminal import say
    from pol_jax.errors import UsageError

    if not (proof / "commitment.json").is_file():
        raise UsageError(f"{proof}: there is no proof here; expected a directory with commitment.json")
    check_new(out)
    encrypt_directory(proof, recipients, out)
    say(f"encrypted {proof} in {out}")


@click.command(short_help="Decrypt what was encrypted.")
@click.argument("file", type=_FILE)
@click.option("--identity", type=_FILE, required=True, help="File with your secret identity (age-keygen).")
@click.option("--out", type=_FOLDER, required=True, help="Directory to make.")
def decrypt(file: Path, identity: Path, out: Path) -> None:
    """Decrypt FILE (pol encrypt) into a new directory."""
    from pol_jax.attesting.encryption import decrypt as decrypt_file
    from pol_jax.cli.terminal import say

    decrypt_file(file, identity, out)
    say(f"decrypted {file} into {out}")


COMMANDS = (keygen, sign, timestamp, check, publish, export, resolve, encrypt, decrypt)

"""This module implements ``pol publish``: the small public part of a proof, enough to be challenged later."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from pol_jax.attesting import folder
from pol_jax.attesting.folder import read_attestations
from pol_jax.cli.documents import check_documents
from pol_jax.cli.output_file import check_new
from pol_jax.errors import StorageError, printable
from pol_jax.files import write_whole
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.limits import Limits
from pol_jax.verifying.attestations import check_attestations


def publish_command(proof: Path, out: Path) -> None:
    """Write commitment, claim and attestations to a new directory, which appears when it is whole.

    Raises:
        ProofError: the documents of the proof, or its attestations, are false: nobody shall publish that.
    """
    check_new(out)
    documents = check_documents(proof, Limits())
    check_attestations(proof, documents.commitment, documents.claim, None, None)
    found = read_attestations(proof)
    signed = {
        folder.COMMITMENT: found.commitment,
        folder.COMMITMENT_TOKEN: found.commitment_token,
        folder.CLAIM: found.claim,
        folder.CLAIM_TOKEN: found.claim_token,
        folder.BEACON: found.beacon,
    }
    files = {commitments.FILE: documents.commitment_bytes, claims.FILE: documents.claim_bytes}
    files |= {folder.where(name): content for name, content in signed.items() if content is not None}
    _write(out, files)
    size = sum(map(len, files.values()))
    click.echo(f"published {len(files)} files, {size} bytes, in {printable(str(out))}: {', '.join(sorted(files))}")
    click.echo(f"claim {documents.claim.digest().hex()}")
    for name, missing in ((folder.CLAIM, "the claim is not signed"), (folder.CLAIM_TOKEN, "nothing shows when it was")):
        if signed[name] is None:
            click.echo(f"without {folder.where(name)}: {missing}", err=True)


def _write(out: Path, files: dict[str, bytes]) -> None:
    partial = out.with_name(out.name + ".tmp")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise StorageError(f"{printable(str(partial))}: can't be made: {error.strerror}") from error
    try:
        for name, content in files.items():
            write_whole(partial / name, content)
        partial.rename(out)
    except OSError as error:
        raise StorageError(f"{printable(str(out))}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)

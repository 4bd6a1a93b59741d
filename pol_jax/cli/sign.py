"""This module implements ``pol sign``."""

from __future__ import annotations

from pathlib import Path

import click

from pol_jax.attesting.attestation import attest_claim, read_attestation
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.key_files import read_private_key
from pol_jax.attesting.public_key import public_text
from pol_jax.attesting.subjects import name_final
from pol_jax.cli.final_arrays import read_final_state, select_parameters
from pol_jax.cli.output_file import check_new, envelope_beside, write_new
from pol_jax.cli.terminal import ask_passphrase, quiet_libraries
from pol_jax.errors import UsageError
from pol_jax.protocol.claim import Claim
from pol_jax.storage.proof import Proof, open_proof


def sign_command(proof: Path, key: Path, model: Path | None, out: Path | None) -> None:
    """Sign the claim of a finished proof, and write the envelope."""
    quiet_libraries()
    out = out or envelope_beside(proof)
    check_new(out)
    opened = open_proof(proof)
    claim = _finished(opened)
    private = read_private_key(key, lambda: ask_passphrase(f"Passphrase of {key}"))
    _check_prover(opened, public_text(private), key)
    state = read_final_state(opened)
    subjects = name_final(
        parameters=digest_arrays(select_parameters(state)), state=digest_arrays(state), deployed=model
    )
    envelope = attest_claim(claim.encode(), subjects, private)
    signed = read_attestation(envelope, "claim", where=out.name, pinned=public_text(private))
    write_new(out, envelope)
    if opened.commitment.prover is None:
        click.echo("anonymous: the commitment names no prover, so this shows who signed, and not who trained", err=True)
    click.echo(f"signed by {signed.signers[0]}: {out}")
    for subject in signed.subjects:
        click.echo(f"it is about {subject.name}, BLAKE3 {subject.digests.blake3}")


def _finished(proof: Proof) -> Claim:
    if proof.claim is None:
        raise UsageError(f"{proof.root}: the run is not finished; pol train continues it")
    return proof.claim


def _check_prover(proof: Proof, signer: str, key: Path) -> None:
    prover = proof.commitment.prover
    if prover is not None and prover != signer:
        raise UsageError(
            f"{key}: is {signer}; expected {prover}, the prover whom the commitment names: only they can sign"
        )

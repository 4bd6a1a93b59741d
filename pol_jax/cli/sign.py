"""``pol sign`` signs the claim of a finished proof, and may replace an envelope that no timestamp is over."""

from __future__ import annotations

from pathlib import Path

from pol_jax.attesting import folder
from pol_jax.attesting.attestation import check_document, read_attestation
from pol_jax.attesting.key_files import read_private_key
from pol_jax.attesting.public_key import public_text
from pol_jax.cli.output_file import check_new, write_new
from pol_jax.cli.terminal import ask_passphrase, quiet_libraries, say
from pol_jax.errors import ProofError, UsageError
from pol_jax.files import read_own_file, write_whole
from pol_jax.proving.signing import sign_claim
from pol_jax.sandbox.proofs import open_apart
from pol_jax.storage.proof import Proof


def sign_command(proof: Path, key: Path, model: Path | None, out: Path | None) -> None:
    """Sign the claim of a finished proof, and write the envelope; one that ``pol train`` wrote is made again."""
    quiet_libraries()
    with open_apart(proof) as opened:
        _sign(proof, opened, key, model, out)


def _sign(proof: Path, opened: Proof, key: Path, model: Path | None, out: Path | None) -> None:
    own = folder.attestation_path(proof, folder.CLAIM)
    earlier = own if out is None and own.exists() else None
    if earlier is None:
        check_new(out or own, attestation=True)
    private = read_private_key(key, lambda: ask_passphrase(f"Passphrase of {key}"))
    pace = _signed_before(earlier, opened, public_text(private)) if earlier else None
    envelope = sign_claim(opened, private, pace, model)
    # Read as a verifier will read it, before an earlier envelope is given up.
    signed = read_attestation(envelope, "claim", where=folder.CLAIM, pinned=public_text(private))
    if earlier:
        write_whole(earlier, envelope)
    else:
        write_new(out or own, envelope, attestation=True)
    if opened.commitment.prover is None:
        say("anonymous: the commitment names no prover, so this shows who signed, and not who trained", err=True)
    say(f"signed by {signed.signers[0]}: {out or own}")
    for subject in signed.subjects:
        say(f"it is about {subject.name}, BLAKE3 {subject.digests.blake3}")


def _signed_before(path: Path, proof: Proof, signer: str) -> float | None:
    """Return the pace in an envelope that may be replaced: of the same signer and claim, and not timestamped yet.

    Raises:
        UsageError: it is another one, or a timestamp is over it.
    """
    try:
        found = read_attestation(
            read_own_file(path, folder.LARGEST[folder.CLAIM]), "claim", where=str(path), pinned=signer
        )
        check_document(found, proof.claim.encode() if proof.claim else b"", str(path))
    except ProofError as error:
        raise UsageError(f"{error}; move it away, or choose another place (--out)") from None
    if folder.attestation_path(proof.root, folder.CLAIM_TOKEN).exists():
        raise UsageError(f"{path}: a timestamp is over it ({folder.CLAIM_TOKEN}); choose another place (--out)")
    return found.seconds_per_step

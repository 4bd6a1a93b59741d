"""``pol publish`` writes the small public part of a proof, which is enough to be challenged later."""

from __future__ import annotations

from pathlib import Path

from pol_jax.attesting import folder
from pol_jax.attesting.folder import read_attestations
from pol_jax.cli.documents import check_documents
from pol_jax.cli.output_file import check_new, new_directory
from pol_jax.cli.terminal import say
from pol_jax.errors import printable
from pol_jax.files import write_whole
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.verifying.attestations import check_attestations


def publish_command(proof: Path, out: Path) -> None:
    """Write the public part of a proof to a new directory, and say what of it is missing."""
    check_new(out)
    files, claim = public_part(proof)
    _write(out, files)
    size = sum(map(len, files.values()))
    say(f"published {len(files)} files, {size} bytes, in {printable(str(out))}: {', '.join(sorted(files))}")
    say(f"claim {claim.digest().hex()}")
    for name, missing in ((folder.CLAIM, "the claim is not signed"), (folder.CLAIM_TOKEN, "nothing shows when it was")):
        if folder.where(name) not in files:
            say(f"without {folder.where(name)}: {missing}", err=True)


def publish_to(proof: Path, out: Path) -> None:
    """Write the public part of a proof to a new directory; for errors see `public_part`."""
    _write(out, public_part(proof)[0])


def public_part(proof: Path) -> tuple[dict[str, bytes], Claim]:
    """Return commitment, claim and attestations by the names of their files, and the claim.

    Raises:
        ProofError: documents or attestations are false: nobody shall publish that.
    """
    documents = check_documents(proof, Limits())
    found = read_attestations(proof)
    check_attestations(found, documents.commitment, documents.claim, None, None)
    signed = {
        folder.COMMITMENT: found.commitment,
        folder.COMMITMENT_TOKEN: found.commitment_token,
        folder.CLAIM: found.claim,
        folder.CLAIM_TOKEN: found.claim_token,
        folder.BEACON: found.beacon,
    }
    files = {commitments.FILE: documents.commitment_bytes, claims.FILE: documents.claim_bytes}
    files |= {folder.where(name): content for name, content in signed.items() if content is not None}
    return files, documents.claim


def _write(out: Path, files: dict[str, bytes]) -> None:
    with new_directory(out) as partial:
        for name, content in files.items():
            write_whole(partial / name, content)

"""The documents of a finished proof are read and compared with each other, without jax and without replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pol_jax.errors import ProofError, UsageError, printable
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import Digest
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Segments
from pol_jax.sandbox.memory import memory_of_reading
from pol_jax.sandbox.reader import confined_reader
from pol_jax.storage import ledger
from pol_jax.storage.inventory import check_inventory, list_files, read_bounded


@dataclass(frozen=True)
class Documents:
    """Documents are the commitment and the claim of a proof, which were found to agree with each other.

    Attributes:
        commitment: parsed.
        commitment_bytes: as they are stored.
        claim: parsed.
        claim_bytes: as they are stored.
        files: how many files the proof has; None for a bundle, which has these documents alone (`pol publish`).
    """

    commitment: Commitment
    commitment_bytes: bytes
    claim: Claim
    claim_bytes: bytes
    files: int | None


def check_documents(root: Path, limits: Limits) -> Documents:
    """Return the documents of a proof, if names, inventory, commitment and ledger are those that the claim needs.

    Of a bundle, these are only the commitment and the claim.

    Records, programs, keys, order and checkpoints are not looked into; their bytes are those of the inventory.

    Raises:
        UsageError: there is no finished proof.
        ProofError: the first check that fails.
    """
    if not (root / commitments.FILE).exists():
        raise UsageError(f"{root}: there is no proof here; expected a directory with {commitments.FILE}")
    if not (root / claims.FILE).exists():
        raise UsageError(f"{root}: the run is not finished; expected a proof with {claims.FILE}")
    if is_bundle(root):
        return _read(root, limits, None)
    sizes = list_files(root, limits)
    check_inventory(root, read_bounded(root, inventory.FILE, limits), sizes)
    documents = _read(root, limits, len(sizes))
    _check_ledger(root, documents.commitment, documents.claim)
    return documents


def is_bundle(root: Path) -> bool:
    """Return whether a directory with a claim is the public part of a proof alone: no inventory, no programs."""
    return not (root / inventory.FILE).exists() and not (root / "program").exists()


def refuse_bundle(root: Path, cure: str) -> None:
    """Refuse the public part of a proof where a whole one belongs: it is no proof, and no verdict is due on it.

    Raises:
        UsageError: ``root`` is a bundle.
    """
    if (root / claims.FILE).exists() and is_bundle(root):
        raise UsageError(f"{printable(str(root))}: is the public part of a proof, without states and programs; {cure}")


def _read(root: Path, limits: Limits, files: int | None) -> Documents:
    """Return the two documents, if they agree."""
    commitment_bytes, claim_bytes = (read_bounded(root, name, limits) for name in (commitments.FILE, claims.FILE))
    commitment, claim = Commitment.parse(commitment_bytes), Claim.parse(claim_bytes)
    claim.check_commitment(commitment)
    if claim.steps > limits.steps:
        raise ProofError(claims.FILE, f"steps: {claim.steps}, more than the limit of {limits.steps}")
    return Documents(commitment, commitment_bytes, claim, claim_bytes, files)


def _check_ledger(root: Path, commitment: Commitment, claim: Claim) -> None:
    """Refuse a ledger whose root, or whose last state, is not the claimed one."""
    digests, last = list[Digest](), None
    segments = Segments(claim.steps, commitment.schedule.interval)
    # Parquet is parsed by native code, and so in a confined process, whatever the command (threat-model.md).
    with confined_reader(root, memory_of_reading(commitment, claim.steps)) as reader:
        for row in ledger.read_rows(root, segments, commitment.row_layout, read=reader.segment):
            digests.append(row.digest())
            last = row.state
    if merkle.root(digests).hex() != claim.ledger_root:
        raise ProofError(ledger.DIRECTORY, "its Merkle root is not the claimed one")
    if last is None or last.hex() != claim.final_state:
        raise ProofError(claims.FILE, f"final_state is not the digest in row {claim.steps} of the ledger")

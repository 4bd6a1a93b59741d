"""The attestations of a proof lie in its folder ``attestations``: no part of the proof, and never in its inventory.

    attestations/commitment.dsse.json   the signed commitment, made before step 0
    attestations/commitment.tsr         an authority's timestamp over commitment.json
    attestations/claim.dsse.json        the signed claim
    attestations/claim.tsr              an authority's timestamp over claim.dsse.json
    attestations/beacon.json            the drand round that the commitment names

Others may keep files of their own there; only these five are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pol_jax.attesting.envelope import MAX_BYTES
from pol_jax.attesting.timestamp import MAX_RESPONSE_BYTES
from pol_jax.errors import ProofError, unreadable
from pol_jax.files import open_plain

DIRECTORY: Final = "attestations"
COMMITMENT: Final = "commitment.dsse.json"
COMMITMENT_TOKEN: Final = "commitment.tsr"  # noqa: S105  # a file's name
CLAIM: Final = "claim.dsse.json"
CLAIM_TOKEN: Final = "claim.tsr"  # noqa: S105
BEACON: Final = "beacon.json"

MAX_ROUND_BYTES: Final = 2**12
LARGEST: Final = {
    COMMITMENT: MAX_BYTES,
    COMMITMENT_TOKEN: MAX_RESPONSE_BYTES,
    CLAIM: MAX_BYTES,
    CLAIM_TOKEN: MAX_RESPONSE_BYTES,
    BEACON: MAX_ROUND_BYTES,
}
"""How many bytes each file may have, by its name."""


@dataclass(frozen=True)
class Attestations:
    """Attestations are the files of a proof's folder ``attestations``, as bytes; None for one that is not there.

    Attributes:
        commitment: the envelope of the commitment.
        commitment_token: the authority's response over ``commitment.json``.
        claim: the envelope of the claim.
        claim_token: the authority's response over the envelope of the claim.
        beacon: the round that the commitment names.
    """

    commitment: bytes | None = None
    commitment_token: bytes | None = None
    claim: bytes | None = None
    claim_token: bytes | None = None
    beacon: bytes | None = None


def attestation_path(root: Path, name: str) -> Path:
    """Return the path of the attestation ``name`` of the proof in ``root``."""
    return root / DIRECTORY / name


def find(root: Path, name: str) -> Path | None:
    """Return the path of the attestation ``name`` if it is there; a folder that is a link is passed over."""
    path = attestation_path(root, name)
    # A link that leads nowhere doesn't "exist", and is there all the same: reading it is refused.
    return path if not path.parent.is_symlink() and (path.exists() or path.is_symlink()) else None


def where(name: str) -> str:
    """Return the name of an attestation relative to its proof, for errors."""
    return f"{DIRECTORY}/{name}"


def read_attestations(root: Path) -> Attestations:
    """Return the attestations of the proof or bundle in ``root``.

    A folder that is a link is passed over: it lies beside a proof, like whatever else other systems put there.

    Raises:
        ProofError: a file is a link or a device, or is too large.
        BackendError: this machine can't read one.
    """
    folder = root / DIRECTORY
    if folder.is_symlink() or not folder.is_dir():
        return Attestations()
    return Attestations(
        commitment=_read(folder, COMMITMENT),
        commitment_token=_read(folder, COMMITMENT_TOKEN),
        claim=_read(folder, CLAIM),
        claim_token=_read(folder, CLAIM_TOKEN),
        beacon=_read(folder, BEACON),
    )


def _read(folder: Path, name: str) -> bytes | None:
    try:
        with open_plain(folder / name) as file:
            content = file.read(LARGEST[name] + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(where(name), f"can't be read: {error.strerror}", error) from error
    if len(content) > LARGEST[name]:
        raise ProofError(where(name), f"has more than {LARGEST[name]} bytes")
    return content

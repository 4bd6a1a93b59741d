"""The trust anchors of a verifier say whose key must have signed, and which timestamping authorities are believed.

They are the verifier's own, given by name or file, and never those of a proof.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pol_jax.attesting.public_key import read_signer
from pol_jax.attesting.timestamp import read_pem


class Anchors(NamedTuple):
    """Trust anchors are read from files once, and have the names of the fields of a request.

    Attributes:
        signer: the public key that must have signed the claim, ``ed25519:`` and 64 hex digits; None takes any.
        tsa_roots: certificates (PEM) of timestamping authorities; None leaves times open.
    """

    signer: str | None
    tsa_roots: bytes | None


def read_anchors(signer: str | None, tsa_roots: Path | str | None) -> Anchors:
    """Return the trust anchors that a verifier names.

    Args:
        signer: a public key as text, or a file with it.
        tsa_roots: a file of root certificates in PEM.

    Raises:
        UsageError: it is no key, or the file has no certificate.
    """
    return Anchors(
        None if signer is None else read_signer(signer), None if tsa_roots is None else read_pem(Path(tsa_roots))
    )

"""An envelope is a signed payload: DSSE v1 with one Ed25519 signature, as canonical JSON (attestation.md, section 4).

Signing and verifying are securesystemslib's. What this module adds is the strict reading before: an envelope that has
more than one spelling, or more than was asked for, is refused before a signature is looked at.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey  # type: ignore[attr-defined]  # has no __all__

from pol_jax.attesting.public_key import PREFIX, parse_public_text, public_text
from pol_jax.attesting.strict_json import canonical_bytes, check_fields, parse_object
from pol_jax.errors import ProofError

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"

MAX_BYTES: Final = 2**25
"""An envelope has at most this many bytes: a document of 2^24 bytes in base64, and what stands around it."""

MAX_SIGNATURES: Final = 16

_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True)
class Signed:
    """A signed payload is one whose signatures all verify; who the signers are isn't judged yet.

    Attributes:
        payload: the exact bytes that were signed.
        signers: public keys as text, in the envelope's order, none twice.
    """

    payload: bytes
    signers: tuple[str, ...]


def sign(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return an envelope with ``payload``, signed by ``key``. Law: `verify_envelope` gives both back."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key, _library_key(public_text(key))))
    return canonical_bytes(envelope.to_dict())


def verify_envelope(content: bytes, where: str, *, signatures: int = 1) -> Signed:
    """Return what is in an envelope, if every signature in it verifies.

    Args:
        content: the envelope's bytes, untrusted.
        where: file name, for errors.
        signatures: how many there must be. One more than expected is a refusal: nobody asked who else signed.

    Raises:
        ProofError: malformed, of another payload type, or a signature doesn't verify.
    """
    envelope = _parse(content, where, signatures)
    # One by one, so that the error names the signature that doesn't verify.
    for signer in envelope.signatures:
        try:
            envelope.verify([_library_key(signer)], 1)
        except VerificationError:
            raise ProofError(
                where,
                f"the signature of {signer} doesn't verify: payload or signature was changed, or another key signed; "
                f"ask the signer for the envelope again",
            ) from None
    return Signed(envelope.payload, tuple(envelope.signatures))


def pre_authentication_encoding(payload: bytes) -> bytes:
    """Return the bytes that the signature is over: the payload's type, its length, and the payload."""
    return Envelope(payload, PAYLOAD_TYPE, {}).pae()


def _library_key(signer: str) -> SSlibKey:
    """Return the key under its own text as identifier, so that an envelope's ``keyid`` says whose it is."""
    return SSlibKey(signer, "ed25519", "ed25519", {"public": signer.removeprefix(PREFIX)})


def _parse(content: bytes, where: str, expected: int) -> Envelope:
    found = parse_object(content, where, most=MAX_BYTES)
    check_fields(found, {"payload", "payloadType", "signatures"}, where)
    if found["payloadType"] != PAYLOAD_TYPE:
        raise ProofError(where, f"got payloadType {str(found['payloadType'])[:80]!r}; expected {PAYLOAD_TYPE!r}")
    entries = found["signatures"]
    if not isinstance(entries, list) or not 1 <= expected <= MAX_SIGNATURES or len(entries) != expected:
        count = len(entries) if isinstance(entries, list) else "no list of"
        raise ProofError(where, f"got {count} signatures; expected exactly {expected}")
    signatures = dict(_signature(entry, f"signatures[{at}]", where) for at, entry in enumerate(entries))
    if len(signatures) != expected:
        raise ProofError(where, "two signatures are of one key; expected one of each signer")
    return Envelope(_base64(found["payload"], "payload", where), PAYLOAD_TYPE, signatures)


def _signature(entry: Any, field: str, where: str) -> tuple[str, Signature]:
    if not isinstance(entry, dict):
        raise ProofError(where, f"{field}: expected an object with keyid and sig")
    check_fields(entry, {"keyid", "sig"}, where, field)
    if not isinstance(entry["keyid"], str):
        raise ProofError(where, f"{field}.keyid: expected 'ed25519:' and 64 hex digits")
    parse_public_text(entry["keyid"], where)
    raw = _base64(entry["sig"], f"{field}.sig", where)
    if len(raw) != _SIGNATURE_BYTES:
        raise ProofError(where, f"{field}.sig: got {len(raw)} bytes; expected {_SIGNATURE_BYTES}")
    return entry["keyid"], Signature(entry["keyid"], raw.hex())


def _base64(text: Any, field: str, where: str) -> bytes:
    """Decode base64 that has one spelling only; the library's own decoder also takes the URL-safe alphabet."""
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        raw = None
    if raw is None or base64.b64encode(raw).decode() != text:
        raise ProofError(where, f"{field}: expected standard base64 with padding (RFC 4648 section 4)")
    return raw

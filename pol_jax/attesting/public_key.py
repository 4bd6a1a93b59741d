"""Public keys of signers are Ed25519 points, written ``ed25519:`` and 64 hex digits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pol_jax.errors import ProofError, UsageError, printable
from pol_jax.protocol.signers import problem_of_key

PREFIX: Final = "ed25519:"

_MAX_FILE_BYTES: Final = 2**14
_TEXT: Final = re.compile(r"(?:ed25519:)?([0-9a-f]{64})\Z")


def public_text(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """Return the public half of a key as text. Law: ``parse_public_text(public_text(key))`` is its 32 bytes."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return PREFIX + public.public_bytes_raw().hex()


def parse_public_text(text: str, where: str) -> bytes:
    """Return the 32 bytes of a key that untrusted bytes name.

    Raises:
        ProofError: no ``ed25519:`` text, or no point that can be anyone's key.
    """
    found = _TEXT.match(text)
    # `_TEXT` also takes bare digits, for users. What others wrote has one spelling only (attestation.md, section 1).
    if not text.startswith(PREFIX) or not found:
        raise ProofError(where, f"got the key {text[:80]!r}; expected 'ed25519:' and 64 hex digits")
    raw = bytes.fromhex(found[1])
    if problem := problem_of_key(raw):
        raise ProofError(where, f"the key {text} is {problem}; expected what pol keygen makes")
    return raw


def read_signer(given: str) -> str:
    """Return the text of the public key that a user gives: ``ed25519:`` text, bare hex, or a file with text or PEM.

    Raises:
        UsageError: no key; says what was expected.
    """
    found = _TEXT.match(given)
    raw = bytes.fromhex(found[1]) if found else _read_file(Path(given))
    if problem := problem_of_key(raw):
        raise UsageError(f"{printable(given)}: this public key is {problem}; expected what pol keygen makes")
    return PREFIX + raw.hex()


def _read_file(path: Path) -> bytes:
    where = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        what = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"{where}: neither a public key ('ed25519:' and 64 hex digits) nor a file that can be read: {what}"
        ) from None
    if b"PRIVATE KEY" in content:
        raise UsageError(f"{where}: this is a private key; give its public half, which pol keygen prints")
    text = _TEXT.match(content.decode("ascii", "replace").strip())
    return bytes.fromhex(text[1]) if text else _from_pem(content, where)


def _from_pem(content: bytes, where: str) -> bytes:
    try:
        key = load_pem_public_key(content[:_MAX_FILE_BYTES])
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"{where}: no public key in it; expected PEM (-----BEGIN PUBLIC KEY-----) or 'ed25519:' and 64 hex digits"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{where}: expected an Ed25519 public key, got {type(key).__name__}")
    return key.public_bytes_raw()

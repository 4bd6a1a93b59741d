"""Public keys of signers are Ed25519 points, written ``ed25519:`` and 64 hex digits.

A point of small order is refused: with such a "key" one signature can hold for every message, so that it names nobody.
A point that is not written canonically is refused too: one key has one text, which is compared as text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pol_jax.errors import ProofError, UsageError, printable

PREFIX: Final = "ed25519:"

_MAX_FILE_BYTES: Final = 2**14
_TEXT: Final = re.compile(r"(?:ed25519:)?([0-9a-f]{64})\Z")

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
"""The field's prime and the curve's constant, RFC 8032 section 5.1."""

_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})
"""The y coordinates of the eight points whose order divides 8."""


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
    if not text.startswith(PREFIX) or not found:
        raise ProofError(where, f"got the key {text[:80]!r}; expected 'ed25519:' and 64 hex digits")
    raw = bytes.fromhex(found[1])
    if problem := _problem_of(raw):
        raise ProofError(where, f"the key {text} is {problem}; expected what pol keygen makes")
    return raw


def read_signer(given: str) -> str:
    """Return the text of the public key that a user gives: ``ed25519:`` text, bare hex, or a file with text or PEM.

    Raises:
        UsageError: no key; says what was expected.
    """
    found = _TEXT.match(given)
    raw = bytes.fromhex(found[1]) if found else _read_file(Path(given))
    if problem := _problem_of(raw):
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


def _problem_of(raw: bytes) -> str | None:
    """Return what is wrong with a point (RFC 8032 section 5.1.3), or None."""
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number % 2**255
    if y >= _P or (sign and y in (1, _P - 1)):  # x is 0 at these two, and 0 has no sign
        return "not a canonical point of the curve"
    if y in _SMALL_ORDER:
        return "a point of small order, for which anyone can sign"
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if pow(x_squared, (_P - 1) // 2, _P) != 1:
        return "not a point of the curve"
    return None

"""The prover's Ed25519 key is kept in a PEM file, which a passphrase may protect."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pol_jax.attesting.public_key import public_text
from pol_jax.errors import StorageError, UsageError, printable
from pol_jax.files import read_beginning

Ask = Callable[[], str]
"""It returns the passphrase of a key; it is called only where the file has one."""

MAX_PASSPHRASE_BYTES: Final = 1000
_MAX_FILE_BYTES: Final = 2**14
_ENCRYPTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


def write_new_key(path: Path, passphrase: str | None = None) -> str:
    """Make a key, write it to ``path`` so that only its owner can read it, and return its public half as text.

    Args:
        path: the file to make.
        passphrase: encrypts the key (PKCS#8, PBES2 with AES-256); None writes it as it is.

    Raises:
        UsageError: ``path`` exists already, or the passphrase is empty or too long.
        StorageError: the file can't be written.
    """
    protection: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        protection = BestAvailableEncryption(_passphrase_bytes(passphrase))
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    where = printable(str(path))
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{where}: exists already; a key is never overwritten, choose another name") from None
    except OSError as error:
        raise StorageError(f"{where}: can't be written: {error.strerror}") from error
    return public_text(key)


def read_private_key(path: Path, ask: Ask | None = None) -> Ed25519PrivateKey:
    """Return the private key in ``path``.

    Args:
        path: what `write_new_key` wrote.
        ask: returns the passphrase, if the file needs one; None can't be asked.

    Raises:
        UsageError: the file is missing, holds no Ed25519 private key, or has another passphrase.
    """
    where = printable(str(path))
    content = read_beginning(path, _MAX_FILE_BYTES)
    encrypted = _ENCRYPTED in content
    if encrypted and ask is None:
        raise UsageError(f"{where}: is protected by a passphrase; expected a key without one here")
    passphrase = _passphrase_bytes(ask()) if encrypted and ask else None
    try:
        key = load_pem_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their texts are not quoted: the file is secret
        if encrypted:
            raise UsageError(f"{where}: the passphrase is wrong, or the file is damaged") from None
        raise UsageError(f"{where}: is no private key in PEM; expected what pol keygen writes") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{where}: expected an Ed25519 key, got {type(key).__name__}")
    return key


def _passphrase_bytes(passphrase: str) -> bytes:
    # Bytes of a terminal that are no UTF-8 are surrogates in Python, and become the same bytes again here.
    content = passphrase.encode("utf-8", "surrogateescape")
    if not 1 <= len(content) <= MAX_PASSPHRASE_BYTES:
        raise UsageError(f"a passphrase of {len(content)} bytes; expected 1 to {MAX_PASSPHRASE_BYTES}")
    return content

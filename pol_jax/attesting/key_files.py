"""The prover's Ed25519 key is kept in a PEM file."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pol_jax.errors import StorageError, UsageError


def write_new_key(path: Path) -> str:
    """Make a key, write it to ``path`` so that only its owner can read it, and return its public half as text.

    Raises:
        UsageError: ``path`` exists already.
        StorageError: the file can't be written.
    """
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{path}: exists already; a key is never overwritten, choose another name") from None
    except OSError as error:
        raise StorageError(f"{path}: can't be written: {error.strerror}") from error
    return _public_text(key)


def read_public_key(path: Path) -> str:
    """Return the public half of the private key in ``path``: ``ed25519:`` and 64 hex digits.

    Raises:
        UsageError: the file is missing, or holds no Ed25519 private key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: is no unencrypted private key in PEM; expected what pol keygen writes") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: expected an Ed25519 key, got {type(key).__name__}")
    return _public_text(key)


def _public_text(key: Ed25519PrivateKey) -> str:
    return f"ed25519:{key.public_key().public_bytes_raw().hex()}"

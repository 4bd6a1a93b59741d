"""Recipients and identities of age say who can decrypt: a recipient is public (``age1...``), an identity is secret.

A secret lies in a file that only its owner reads; it is never an argument, and no error, log or repr shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pyrage import IdentityError, RecipientError, x25519  # type: ignore[import-untyped]  # has no stubs of its own

from pol_jax.errors import StorageError, UsageError, printable

MAX_RECIPIENTS: Final = 64
_MAX_BYTES: Final = 2**16
_IDENTITY: Final = "AGE-SECRET-KEY-"  # what a secret begins with, not one
_RECIPIENT: Final = re.compile(r"age1[02-9ac-hj-np-z]{58}\Z")  # Bech32 (BIP 173) has no 1, b, i and o


def write_new_identity(path: Path) -> str:
    """Make an identity, write it to ``path`` as ``age-keygen`` does (0600), and return its recipient.

    Raises:
        UsageError: ``path`` is there already.
        StorageError: it can't be written.
    """
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"# public key: {recipient}\n{identity}\n")
    except FileExistsError:
        raise UsageError(f"{printable(str(path))}: is there already; a key is never overwritten") from None
    except OSError as error:
        raise StorageError(f"{printable(str(path))}: can't be written: {error.strerror}") from error
    return recipient


def read_recipients(given: Sequence[str]) -> list[Any]:
    """Return recipients from what a user gives: ``age1...`` texts, or files that have one a line.

    Raises:
        UsageError: none, too many, a secret where a recipient belongs, or no recipient.
    """
    texts: list[str] = []
    for item in given:
        if item.upper().startswith(_IDENTITY):
            raise UsageError(
                "got an identity, which is secret, where a recipient (age1...) belongs; other processes may have seen "
                "it: make a new one"
            )
        texts += [item] if item.startswith("age1") else _lines(Path(item))
    if not 1 <= len(texts) <= MAX_RECIPIENTS:
        raise UsageError(f"got {len(texts)} recipients; expected 1 to {MAX_RECIPIENTS}")
    return [_recipient(text) for text in texts]


def read_identities(path: Path) -> list[Any]:
    """Return the identities in a file, as ``age-keygen`` writes it.

    Raises:
        UsageError: none, or what is there is no X25519 identity.
    """
    where = printable(str(path))
    lines = _lines(path)
    if not 1 <= len(lines) <= MAX_RECIPIENTS:
        raise UsageError(f"{where}: has {len(lines)} identities; expected 1 to {MAX_RECIPIENTS}")
    try:
        return [x25519.Identity.from_str(line) for line in lines]
    except IdentityError:  # its text isn't quoted: it could hold the secret
        hint = "; an identity is what decrypts, age1... is what encrypts" if lines[0].startswith("age1") else ""
        raise UsageError(f"{where}: no age identity (AGE-SECRET-KEY-...), or a damaged one{hint}") from None


def _recipient(text: str) -> Any:
    try:
        if _RECIPIENT.match(text):
            return x25519.Recipient.from_str(text)
    except RecipientError:
        pass
    shown = "a secret" if text.upper().startswith(_IDENTITY) else repr(text[:80])
    raise UsageError(f"got {shown} as recipient; expected 'age1' and 58 characters, whose checksum is right")


def _lines(path: Path) -> list[str]:
    where = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        what = getattr(error, "strerror", None) or "no name of a file"
        raise UsageError(f"{where}: neither an age recipient (age1...) nor a file that can be read: {what}") from None
    if len(content) > _MAX_BYTES or not content.isascii():
        raise UsageError(f"{where}: no file of age keys, which are ASCII and at most {_MAX_BYTES} bytes")
    lines = (line.strip() for line in content.decode().splitlines())
    return [line for line in lines if line and not line.startswith("#")]

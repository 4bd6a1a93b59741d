"""Typed values become canonical JSON documents, and are read from them (docs/protocol.md, section 2).

A document is canonical JSON by RFC 8785 (JSON Canonicalization Scheme). The reader refuses and never repairs: whatever
it accepts would be written as the same bytes. Therefore duplicate keys, NaN, other spellings of a number and spaces
are all refused, and one value has one digest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.encoding import FORMAT_1
from pol_jax.protocol.strict_json import canonical_bytes, check_canonical, parse

Upgrade = Callable[[Any, str], Any]

T = TypeVar("T")

HexDigest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

_DEPTH: Final = 16
"""Lists and objects of a document nest no deeper (section 2); the parser is recursive, and a stack has an end."""


def encode(value: Any) -> bytes:
    """Return the canonical bytes of a document.

    Raises:
        ValueError: canonical JSON can't express the value, such as NaN or an integer beyond 2^53.
    """
    return canonical_bytes(msgspec.to_builtins(value))


def decode(content: bytes, kind: type[T], where: str, upgrade: Upgrade | None = None) -> T:
    """Return the document of type ``kind`` that ``content`` holds. Law: ``encode(decode(b, ...)) == b``.

    Args:
        content: the bytes of the document, whose number was checked before.
        kind: a frozen `msgspec.Struct`, which says which fields there are, with their types and patterns.
        where: name of the file, for the texts of errors.
        upgrade: turns a document of pol-jax/1 into one of today's form (`pol_jax.protocol.version_1`); None if both
            have the same form.

    Raises:
        ProofError: ``content`` is not JSON, not canonical, or not a ``kind``; the text names the field.
    """
    plain = parse(content, where, depth=_DEPTH)
    # Before the types: a document that would be written in another way is refused whatever it says (section 2).
    check_canonical(plain, content, where)
    try:
        if upgrade and isinstance(plain, dict) and plain.get("format") == FORMAT_1:
            plain = upgrade(plain, where)
        # Strict: "1" is no 1 and 1.0 is no integer, since a repaired value would have another digest than the bytes.
        return msgspec.convert(plain, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ProofError(where, str(error)) from None

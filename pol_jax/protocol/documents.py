"""This module turns typed values into canonical JSON documents and back (docs/protocol.md, section 2).

A document is canonical JSON by RFC 8785 (JSON Canonicalization Scheme). The reader refuses and never repairs: whatever
it accepts would be written as the same bytes. Therefore duplicate keys, NaN, other spellings of a number and spaces
are all refused, and one value has one digest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
import rfc8785

from pol_jax.errors import ProofError
from pol_jax.protocol.encoding import FORMAT_1

Upgrade = Callable[[Any, str], Any]

T = TypeVar("T")

HexDigest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

_DEPTH: Final = 16

# The quantifiers are possessive: a hostile document can't make the match try many alternatives.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def encode(value: Any) -> bytes:
    """Return the canonical bytes of a document.

    Raises:
        ValueError: canonical JSON can't express the value, such as NaN or an integer beyond 2^53.
    """
    try:
        return rfc8785.dumps(msgspec.to_builtins(value))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"canonical JSON can't express this value: {error}") from error


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
    plain = _parse(content, where)
    try:
        if rfc8785.dumps(plain) != content:  # this finds every spelling that is not the canonical one
            raise ProofError(where, "not canonical JSON (RFC 8785); expected sorted keys, no spaces, shortest numbers")
        if upgrade and isinstance(plain, dict) and plain.get("format") == FORMAT_1:
            plain = upgrade(plain, where)
        return msgspec.convert(plain, kind, strict=True)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:  # the latter: half a surrogate pair in a key
        raise ProofError(where, f"not canonical JSON: {error}") from None
    except msgspec.ValidationError as error:
        raise ProofError(where, str(error)) from None


def _parse(content: bytes, where: str) -> Any:
    if _depth(content) > _DEPTH:  # before parsing: the parser is recursive
        raise ProofError(where, f"nested deeper than {_DEPTH} levels")
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
    except UnicodeDecodeError as error:
        raise ProofError(where, f"not UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ProofError(where, f"not JSON: {error.msg} at byte {error.pos}") from None
    except ValueError as error:
        raise ProofError(where, str(error)) from None


def _depth(content: bytes) -> int:
    """Return how deep lists and objects are nested.

    Brackets inside strings don't count. If they did, closing ones could hide how deep the document really is.
    """
    deepest = depth = 0
    for byte in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the field {name!r} occurs twice")
        fields[name] = value
    return fields


def _no_constants(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")

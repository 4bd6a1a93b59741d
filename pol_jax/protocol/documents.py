"""Canonical JSON documents: frozen typed values to bytes and back, strictly.

A document is RFC 8785 (JSON Canonicalization Scheme). Reading refuses and never repairs: what is read encodes to the
same bytes, which leaves no room for duplicate keys, NaN, other spellings of a number, or spaces.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
import rfc8785

from pol_jax.errors import ProofError

T = TypeVar("T")

HexDigest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

_DEPTH: Final = 16

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def encode(value: Any) -> bytes:
    """The canonical bytes of a document.

    Raises:
        ValueError: a number that canonical JSON has no form for (NaN, an integer beyond 2^53).
    """
    try:
        return rfc8785.dumps(msgspec.to_builtins(value))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"no canonical JSON for this value: {error}") from error


def decode(content: bytes, kind: type[T], where: str) -> T:
    """The document of type ``kind`` in ``content``. Law: ``encode(decode(b, ...)) == b``.

    Args:
        content: bytes of bounded size.
        kind: a frozen `msgspec.Struct`; says which fields there are, with types and patterns.
        where: file name, for errors.

    Raises:
        ProofError: not JSON, not canonical, or not a ``kind``; names the field.
    """
    plain = _parse(content, where)
    try:
        if rfc8785.dumps(plain) != content:
            raise ProofError(where, "not canonical JSON (RFC 8785); expected sorted keys, no spaces, shortest numbers")
        return msgspec.convert(plain, kind, strict=True)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:  # the latter: half a surrogate pair in a key
        raise ProofError(where, f"not canonical JSON: {error}") from None
    except msgspec.ValidationError as error:
        raise ProofError(where, str(error)) from None


def _parse(content: bytes, where: str) -> Any:
    if _depth(content) > _DEPTH:
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
    """How deep lists and objects are nested; brackets in strings don't count, or closing ones would hide others."""
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
            raise ValueError(f"the field {name!r} stands twice")
        fields[name] = value
    return fields


def _no_constants(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")

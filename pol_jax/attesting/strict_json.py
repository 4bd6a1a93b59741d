"""This module reads JSON from untrusted bytes: it refuses what is ambiguous, and never repairs."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import rfc8785

from pol_jax.errors import ProofError

MAX_DEPTH: Final = 32
"""How deep lists and objects may be nested: a document's 16 levels, and room for what is wrapped around it."""

JsonObject = dict[str, Any]

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def parse_object(content: bytes, where: str, *, most: int, canonical: bool = True) -> JsonObject:
    """Return the JSON object in ``content``. Law, if canonical: ``canonical_bytes(parse_object(b, ...)) == b``.

    Args:
        content: the bytes of the whole file.
        where: file name, for errors.
        most: bytes that the file may have; checked before anything is parsed.
        canonical: whether only the canonical form (RFC 8785) is taken. Files of other programs have other spacing.

    Raises:
        ProofError: too large, not JSON, ambiguous, not canonical, or not an object.
    """
    if len(content) > most:
        raise ProofError(where, f"has {len(content)} bytes; expected at most {most}")
    if _is_deep(content):  # before the parser, which recurses
        raise ProofError(where, f"is nested deeper than {MAX_DEPTH} levels")
    found = _parse(content, where)
    if not isinstance(found, dict):
        raise ProofError(where, f"holds a JSON {type(found).__name__}; expected an object")
    if canonical:
        _check_canonical(found, content, where)
    return found


def canonical_bytes(value: Any) -> bytes:
    """Return the canonical JSON (RFC 8785) of plain values.

    Raises:
        ValueError: canonical JSON has no form for a number (NaN, an integer beyond 2^53).
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"no canonical JSON for this value: {error}") from error


def check_fields(found: JsonObject, names: set[str], where: str, field: str = "") -> None:
    """Refuse an object that lacks one of ``names`` or has another.

    Raises:
        ProofError: names the fields.
    """
    at = f"{field}: " if field else ""
    if missing := sorted(names - found.keys()):
        raise ProofError(where, f"{at}the field {missing[0]!r} is missing; expected {sorted(names)}")
    if unknown := sorted(found.keys() - names):
        raise ProofError(where, f"{at}the field {unknown[0]!r} is unknown; expected only {sorted(names)}")


def _parse(content: bytes, where: str) -> Any:
    try:
        text = content.decode("utf-8")
        return json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ProofError(where, f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ProofError(where, f"is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise ProofError(where, str(error)) from None


def _check_canonical(found: JsonObject, content: bytes, where: str) -> None:
    try:
        same = rfc8785.dumps(found) == content
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:  # the latter: half a surrogate pair in a key
        raise ProofError(where, f"is not canonical JSON: {error}") from None
    if not same:
        raise ProofError(where, "is not canonical JSON (RFC 8785); expected sorted keys, no spaces, shortest numbers")


def _is_deep(content: bytes) -> bool:
    """Say whether lists and objects nest too deep; brackets in strings don't count, or they would hide others."""
    depth = 0
    for byte in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> JsonObject:
    fields: JsonObject = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the field {name!r} stands twice")
        fields[name] = value
    return fields


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")

"""This module reads JSON objects of attestations: of bounded size, and with the fields that are expected."""

from __future__ import annotations

from typing import Any, Final

from pol_jax.errors import ProofError
from pol_jax.protocol.strict_json import canonical_bytes as canonical_bytes
from pol_jax.protocol.strict_json import check_canonical, parse

MAX_DEPTH: Final = 32
"""How deep lists and objects may be nested: a document's 16 levels, and room for what is wrapped around it."""

JsonObject = dict[str, Any]


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
    found = parse(content, where, depth=MAX_DEPTH)
    if not isinstance(found, dict):
        raise ProofError(where, f"holds a JSON {type(found).__name__}; expected an object")
    if canonical:
        check_canonical(found, content, where)
    return found


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

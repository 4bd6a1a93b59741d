"""JSON is read and written strictly: what is ambiguous is refused, and never repaired (section 2).

Two parsers that take the same bytes for different values would let a prover show each reader another document.
Therefore duplicate keys, NaN and deep nesting are refused everywhere, and any spelling other than the canonical one
(RFC 8785, JSON Canonicalization Scheme) is refused where a document is hashed or signed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import rfc8785

from pol_jax.errors import ProofError

# The quantifiers are possessive: a hostile document can't make the match try many alternatives.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def canonical_bytes(value: Any) -> bytes:
    """Return the canonical JSON (RFC 8785) of plain values.

    Raises:
        ValueError: canonical JSON has no form for a number (NaN, an integer beyond 2^53).
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"no canonical JSON for this value: {error}") from error


def parse(content: bytes, where: str, *, depth: int) -> Any:
    """Return the JSON value that ``content`` holds.

    Args:
        content: the bytes of the whole document, whose number was checked before.
        where: name of the file, for the texts of errors.
        depth: how deep lists and objects may be nested; it is checked before parsing, since the parser is recursive.

    Raises:
        ProofError: too deep, not UTF-8, not JSON, a field occurs twice, or NaN or an infinity.
    """
    if _is_deeper(content, depth):
        raise ProofError(where, f"is nested deeper than {depth} levels")
    try:
        text = content.decode("utf-8")
        return json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ProofError(where, f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ProofError(where, f"is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise ProofError(where, str(error)) from None


def check_canonical(found: Any, content: bytes, where: str) -> None:
    """Refuse a document whose value ``found`` has another canonical form than its bytes.

    Raises:
        ProofError: the bytes are another spelling of the value, or it has no canonical form.
    """
    try:
        # Writing the value again and comparing is stricter than any list of rules about spaces, order and numbers.
        same = rfc8785.dumps(found) == content
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:  # the latter: half a surrogate pair in a key
        raise ProofError(where, f"is not canonical JSON: {error}") from None
    if not same:
        raise ProofError(where, "is not canonical JSON (RFC 8785); expected sorted keys, no spaces, shortest numbers")


def _is_deeper(content: bytes, most: int) -> bool:
    """Return whether lists and objects nest deeper than ``most`` levels.

    Brackets inside strings don't count. If they did, closing ones could hide how deep the document really is.
    """
    depth = 0
    for byte in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        if depth > most:
            return True
    return False


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the field {name!r} occurs twice")
        fields[name] = value
    return fields


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")

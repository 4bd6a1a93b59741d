"""These wounds are bytes that are no canonical JSON, or JSON of another schema (docs/protocol.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pol_jax.protocol.documents import encode
from vectors.valid_documents import CLAIM, COMMITMENT
from vectors.wounds import Wound

CONTENT: Final = encode(COMMITMENT)


def _replaced(old: bytes, new: bytes) -> bytes:
    """Return the commitment with ``new`` in the one place where ``old`` stands."""
    if CONTENT.count(old) != 1:
        raise ValueError(f"{old!r} stands {CONTENT.count(old)} times in the commitment")
    return CONTENT.replace(old, new)


NO_CANONICAL_JSON: Final[tuple[tuple[str, bytes], ...]] = (
    # what the fault is, the bytes in place of the commitment
    ("empty", b""),
    ("truncated", CONTENT[:-1]),
    ("truncated in the middle", CONTENT[: len(CONTENT) // 2]),
    ("trailing newline", CONTENT + b"\n"),
    ("trailing document", CONTENT + CONTENT),
    ("trailing zero byte", CONTENT + b"\0"),
    ("leading space", b" " + CONTENT),
    ("byte order mark", b"\xef\xbb\xbf" + CONTENT),
    ("UTF-16", CONTENT.decode().encode("utf-16")),
    ("invalid UTF-8", _replaced(b'"digits"', b'"digits\xff"')),
    ("overlong UTF-8", _replaced(b'"digits"', b'"digits\xc0\x80"')),
    ("UTF-8 of a surrogate", _replaced(b'"digits"', b'"digits\xed\xa0\x80"')),
    ("space after a colon", _replaced(b'"nonce":', b'"nonce": ')),
    ("line break", _replaced(b',"nonce"', b',\n"nonce"')),
    ("comment", _replaced(b',"nonce"', b',/**/"nonce"')),
    ("unsorted fields", b'{"data":' + CONTENT.split(b'"data":', 1)[1][:-1] + b',"beacon":null}'),
    ("duplicate field", _replaced(b'"nonce":"0"', b'"nonce":"0","nonce":"0"')),
    ("duplicate field with another value", _replaced(b'"nonce":"0"', b'"nonce":"0","nonce":"1"')),
    ("duplicate field by an escape", _replaced(b'"nonce":"0"', b'"nonce":"0","non\\u0063e":"0"')),
    ("escape that isn't needed", _replaced(b'"digits"', b'"d\\u0069gits"')),
    ("escaped slash", _replaced(b'"/image"', b'"\\/image"')),
    ("upper-case escape", _replaced(b'"digits"', b'"digits\\u001F"')),
    ("raw control character", _replaced(b'"digits"', b'"digits\x1f"')),
    ("half a surrogate pair", _replaced(b'"digits"', b'"digits\\ud800"')),
    ("half a surrogate pair in a name", _replaced(b'"rate"', b'"rate\\ud800"')),
    ("NaN", _replaced(b"0.005", b"NaN")),
    ("Infinity", _replaced(b"0.005", b"Infinity")),
    ("1e400", _replaced(b"0.005", b"1e400")),
    ("minus zero", _replaced(b'"width":32', b'"width":-0')),
    ("minus zero with a point", _replaced(b'"width":32', b'"width":-0.0')),
    ("integer with a point", _replaced(b"1442", b"1442.0")),
    ("integer with an exponent", _replaced(b"1442", b"1442e0")),
    ("integer with a leading zero", _replaced(b"1442", b"01442")),
    ("integer with a plus", _replaced(b"1442", b"+1442")),
    ("hexadecimal integer", _replaced(b"1442", b"0x5a2")),
    ("integer beyond 2^53", _replaced(b"1442", b"9007199254740993")),
    ("integer of 5000 digits", _replaced(b"1442", b"9" * 5000)),
    ("number with too many digits", _replaced(b"0.005", b"0.0050")),
    ("number in another form", _replaced(b"0.005", b"5e-3")),
    ("number beyond double precision", _replaced(b"0.005", b"0.00500000000000000000001")),
    ("single quotes", _replaced(b'"digits"', b"'digits'")),
    ("trailing comma", _replaced(b'"name":"digits"', b'"name":"digits",')),
    ("deep nesting", _replaced(b'"nonce":"0"', b'"nonce":' + b"[" * 17 + b"]" * 17)),
    ("deep nesting behind closing brackets in a string", b'["' + b"]" * 3000 + b'",' + b"[" * 3000 + b"]" * 3001),
    ("unclosed", b"[" * 17),
)

OTHER_SCHEMA: Final[tuple[tuple[str, str, bytes], ...]] = (
    # what the fault is, which document is expected, the bytes in its place
    ("only a list", "commitment", b"[]"),
    ("only a null", "commitment", b"null"),
    ("only a string", "commitment", b'"pol-jax/1"'),
    ("only a object", "commitment", b"{}"),
    ("claim for a commitment", "commitment", encode(CLAIM)),
    ("commitment for a claim", "claim", CONTENT),
)


def wounds() -> Iterator[Wound]:
    """Yield the wounded documents; their refusals name no field."""
    for name, content in NO_CANONICAL_JSON:
        yield Wound(name, "commitment", "json", "", content)
    for name, kind, content in OTHER_SCHEMA:
        yield Wound(name, kind, "schema", "", content)

"""Two commitments are compared field by field, for people: the first difference says why two runs are not one."""

from __future__ import annotations

import msgspec

from pol_jax.protocol.commitment import Commitment


def differing_fields(a: Commitment, b: Commitment) -> list[tuple[str, str, str]]:
    """Return the fields in which two commitments differ: (dotted name, value in a, value in b)."""
    return _differing_fields("", msgspec.to_builtins(a), msgspec.to_builtins(b))


def _differing_fields(name: str, a: object, b: object) -> list[tuple[str, str, str]]:
    if isinstance(a, dict) and isinstance(b, dict):
        pairs = [(f"{name}.{key}".lstrip("."), a.get(key), b.get(key)) for key in sorted({*a, *b})]
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = [(f"{name}[{index}]", x, y) for index, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        return [] if a == b else [(name, _short(a), _short(b))]
    return [difference for inner, x, y in pairs for difference in _differing_fields(inner, x, y)]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

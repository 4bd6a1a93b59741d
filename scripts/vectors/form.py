"""Vectors are plain JSON values, made of bytes that are easy to write down."""

from __future__ import annotations

import json
import math
from typing import Any

from pol_jax.protocol.trees import LeafSpec

Vector = dict[str, Any]
"""A case, as it stands in a file."""


def pattern(size: int, start: int = 0) -> bytes:
    """Return the bytes start, start + 1, ... modulo 251, which anyone can write without a file."""
    return bytes((start + at) % 251 for at in range(size))


def leaf(
    path: str, dtype: str, shape: tuple[int, ...], pieces: tuple[int, ...] = (), prng: str | None = None
) -> LeafSpec:
    """Specify a leaf; it is one piece where no pieces are given."""
    return LeafSpec(path, dtype, shape, pieces or (1,) * len(shape), prng)


def number(value: float) -> float | str:
    """Return a number as JSON can hold it: NaN and infinities, for which JSON has no form, become their names."""
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity"


def to_json(value: Any) -> str:
    """Write a family with one vector a line, so that a difference between two versions can be read."""

    def lines(value: Any, indent: str) -> str:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join(f"{indent} {json.dumps(each)}" for each in value) + f"\n{indent}]"
        return json.dumps(value)

    if isinstance(value, dict):
        return "{\n" + ",\n".join(f" {json.dumps(key)}: {lines(each, ' ')}" for key, each in value.items()) + "\n}\n"
    return lines(value, "") + "\n"

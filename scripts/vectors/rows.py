"""These vectors pin the bytes and digests of rows of the ledger (docs/protocol.md, section 5)."""

from __future__ import annotations

import numpy as np

from pol_jax.protocol import encoding
from pol_jax.protocol.rows import Row, RowLayout
from vectors.form import Vector, pattern


def vectors() -> list[Vector]:
    """Make rows of both versions, with and without what is optional: indices, a state digest, metrics."""
    batch, state = encoding.batch_digest([pattern(32)]), pattern(32, 7)
    many = np.array([5, 0, 2**48 - 1], np.uint64)
    odd = bytes.fromhex("0100a07f")  # a signalling NaN
    values = (b"", np.float32(0.25).tobytes(), np.float32("-inf").tobytes(), odd, np.float32(-0.0).tobytes())
    heads = (
        (0, pattern(8), np.empty(0, np.uint64), encoding.batch_digest([]), state),
        (1, pattern(8), many, batch, state),
        (2, pattern(8), many, batch, None),
        (3, pattern(16), many[:1], batch, state),
        (2**32 - 1, pattern(16), many[:1], batch, None),
    )
    two, one = RowLayout(("accuracy", "loss")), RowLayout(version="pol-jax/1")
    half = np.float32(0.5).tobytes()
    found = [Row(*head, value and half + value, two) for head, value in zip(heads, values, strict=True)]
    found += [Row(*head, value, RowLayout()) for head, value in zip(heads[1:3], values[1:3], strict=True)]
    found += [Row(*head, value, one) for head, value in zip(heads, values, strict=True)]
    return [_vector(row) for row in found]


def _vector(row: Row) -> Vector:
    return {
        "format": row.layout.version,
        "step": row.step,
        "key": row.key.hex(),
        "indices": row.indices.tolist(),
        "batch_digest": row.batch.hex(),
        "state_digest": row.state and row.state.hex(),
        "metrics": row.metrics.hex(),
        "bytes": row.encode().hex(),
        "digest": row.digest().hex(),
    }

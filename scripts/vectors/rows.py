"""These vectors pin the bytes and digests of rows of the ledger (docs/protocol.md, section 5)."""

from __future__ import annotations

import numpy as np

from pol_jax.protocol import encoding
from pol_jax.protocol.rows import Row
from vectors.form import Vector, pattern


def vectors() -> list[Vector]:
    """Make rows with and without what is optional: indices, a state digest, a loss."""
    batch, state = encoding.batch_digest([pattern(32)]), pattern(32, 7)
    many = np.array([5, 0, 2**48 - 1], np.uint64)
    cases = [
        Row(0, pattern(8), np.empty(0, np.uint64), encoding.batch_digest([]), state, None),
        Row(1, pattern(8), many, batch, state, np.float32(0.25).tobytes()),
        Row(2, pattern(8), many, batch, None, np.float32("-inf").tobytes()),
        Row(3, pattern(16), many[:1], batch, state, bytes.fromhex("0100a07f")),  # a signalling NaN
        Row(2**32 - 1, pattern(16), many[:1], batch, None, np.float32(-0.0).tobytes()),
    ]
    return [_vector(row) for row in cases]


def _vector(row: Row) -> Vector:
    return {
        "step": row.step,
        "key": row.key.hex(),
        "indices": row.indices.tolist(),
        "batch_digest": row.batch.hex(),
        "state_digest": row.state and row.state.hex(),
        "loss": row.loss and row.loss.hex(),
        "bytes": row.encode().hex(),
        "digest": row.digest().hex(),
    }

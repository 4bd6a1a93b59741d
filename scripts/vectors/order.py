"""These vectors pin the order of the records (docs/protocol.md, section 8)."""

from __future__ import annotations

from typing import Final

import numpy as np

from pol_jax.protocol import encoding
from pol_jax.protocol.order import ROUNDS, batch_indices, permute
from vectors.form import Vector, pattern

COMMITMENT: Final = pattern(32)
SIZES: Final = (1, 2, 3, 4, 5, 16, 17, 1797, 50000, 65537, 10**9 + 7, 2**48 - 1, 2**48)
BATCHES: Final = ((1, 3, 1, 3), (3, 2, 1, 5), (10, 4, 1, 7), (10, 25, 1, 3), (1797, 64, 28, 30))
"""Number of records, batch size, the first step, and the step after the last: each crosses the end of an epoch."""


def vectors() -> Vector:
    """Make places of permutations, whole epochs of small data sets, and batches across the ends of epochs."""
    return {
        "commitment": COMMITMENT.hex(),
        "places": [_places(size, epoch) for size in SIZES for epoch in (0, 1, 10**6)],
        "epochs": [_epoch(size, epoch) for size in (1, 2, 3, 7, 16, 20) for epoch in (0, 1)],
        "batches": [_batches(*case) for case in BATCHES],
    }


def _places(size: int, epoch: int) -> Vector:
    """Permute the first two places, the middle and the last one: the sizes are too large for all."""
    chosen = sorted({0, min(1, size - 1), size // 2, size - 1})
    round_keys = encoding.order_keys(COMMITMENT, epoch, ROUNDS)
    images = permute(round_keys[:, None], size, np.array(chosen, np.uint64)).tolist()
    return {"size": size, "epoch": epoch, "places": chosen, "records": images}


def _epoch(size: int, epoch: int) -> Vector:
    """List a whole epoch, as the one batch that holds all its records."""
    records = batch_indices(COMMITMENT, size, size, epoch + 1, epoch + 2)[0].tolist()
    return {"size": size, "epoch": epoch, "records": records}


def _batches(records: int, batch_size: int, start: int, stop: int) -> Vector:
    indices = batch_indices(COMMITMENT, records, batch_size, start, stop).tolist()
    return {"records": records, "batch_size": batch_size, "start": start, "stop": stop, "batches": indices}

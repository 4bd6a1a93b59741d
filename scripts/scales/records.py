"""Costs that grow with the data set: the root over its digests; and one that doesn't, the batch of a step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from pol_jax.protocol import merkle
from pol_jax.protocol.order import batch_indices
from scales.measured import Measured, processor_seconds

RECORDS: Final = (10**3, 10**4, 10**5, 10**6, 10**7)
ORDERED: Final = (*RECORDS, 10**8)
BATCH: Final = 128


def measure(quick: bool) -> Iterator[Measured]:
    """Measure data sets of a thousand to a hundred million records, by synthetic digests."""
    for size in RECORDS[:2] if quick else RECORDS:
        content = np.random.default_rng(0).bytes(32 * size)
        digests = [content[at : at + 32] for at in range(0, len(content), 32)]
        times = 3 if size < 10**6 else 1
        yield Measured("root over the digests", size, processor_seconds(partial(merkle.root, digests), times))
    for size in ORDERED[:2] if quick else ORDERED:
        call = partial(batch_indices, bytes(32), size, BATCH, 1000, 1256)
        yield Measured("batches of 256 steps, of 128 records", size, processor_seconds(call))

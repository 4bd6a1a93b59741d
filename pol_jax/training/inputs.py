"""What goes into each step: a function of the commitment, the step and the source, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt32, UInt64

from pol_jax.errors import DataError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.order import batch_indices
from pol_jax.training.keys import step_keys
from pol_jax.training.records import Batch, take
from pol_jax.training.task import Source

_BLOCK_STEPS = 256
_BLOCK_RECORDS = 2**22


@dataclass(frozen=True)
class StepInput:
    """The input of one step, beside the state.

    Attributes:
        step: 1 is the first.
        key: key data.
        indices: the records of the batch, in order.
        batch: their leaves, each ``[batch, *shape]``.
    """

    step: int
    key: UInt32[np.ndarray, " words"]
    indices: UInt64[np.ndarray, " batch"]
    batch: Batch


def plan(
    commitment: Commitment, start: int, stop: int
) -> Iterator[tuple[int, UInt32[np.ndarray, " words"], UInt64[np.ndarray, " batch"]]]:
    """Step, key data and indices of the steps ``start`` to ``stop`` (exclusive), without the records."""
    digest, schedule, records = commitment.digest(), commitment.schedule, commitment.data.records
    block = max(1, min(_BLOCK_STEPS, _BLOCK_RECORDS // schedule.batch_size))
    for first in range(start, stop, block):
        last = min(first + block, stop)
        keys = step_keys(digest, schedule.prng, first, last)
        indices = batch_indices(digest, records, schedule.batch_size, first, last)
        yield from zip(range(first, last), keys, indices, strict=True)


def step_inputs(commitment: Commitment, source: Source, start: int, stop: int) -> Iterator[StepInput]:
    """The inputs of the steps ``start`` to ``stop`` (exclusive).

    Records are read when they are asked for: the loop runs ahead of the device, so that reading costs nothing until it
    takes longer than the step itself.

    Raises:
        DataError: the source has more or fewer records than committed, or a record is not of the committed shape.
    """
    spec, records = commitment.data.record, commitment.data.records
    if len(source) != records:
        raise DataError(
            f"the source has {len(source)} records, the commitment {records}; use the data of the commitment"
        )
    for step, key, indices in plan(commitment, start, stop):
        yield StepInput(step, key, indices, take(source, spec, indices.astype(np.int64)))

"""The input of each step is a function of the commitment, the step and the source, and of nothing else.

It never depends on the past of an iterator. Therefore a run can be resumed, and any step be replayed by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int64, UInt32, UInt64

from pol_jax.errors import DataError
from pol_jax.program.artifact import Leaves
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.order import batch_indices
from pol_jax.protocol.trees import RecordSpec
from pol_jax.training.keys import step_keys
from pol_jax.training.records import Batch, take
from pol_jax.training.sources import number_of_records
from pol_jax.training.task import Source

Changed: TypeAlias = Mapping[int, np.ndarray]
"""These are new leaves of a state, by their places in it."""

Changes: TypeAlias = Callable[[int], Changed]
"""This function returns what an intervention after a step changed; nothing if there was none."""

EVERY: Final = slice(None)
"""All rows of a batch."""


def unchanged(_step: int) -> Changed:
    """Return no change, whatever the step: most runs have no interventions."""
    return {}


# Keys and indices are computed for several steps at once: a call of jax for each step would cost more than the step.
_BLOCK_STEPS = 256
_BLOCK_RECORDS = 2**22

_READ_BYTES: Final = 2**20
"""The records of several steps are read at once, up to this many bytes, where a source can read many at once."""


@dataclass(frozen=True, repr=False)
class StepInput:
    """A step input is everything that a step receives beside the state.

    Attributes:
        step: number of the step; the first is 1.
        key: key data of the step's PRNG key.
        indices: indices of the batch's records, in order.
        batch: the leaves of the batch, each of shape ``[batch, *shape]``; of the rows that this process reads.
        changed: leaves that take the place of those of the state before the step, by their places in it: an
            intervention. Almost always empty.
        rows: which rows of the batch this process reads.
    """

    step: int
    key: UInt32[np.ndarray, " words"]
    indices: UInt64[np.ndarray, " batch"]
    batch: Batch
    changed: Changed = field(default_factory=dict)
    rows: Int64[np.ndarray, " rows"] | slice = field(default_factory=lambda: EVERY)

    def __repr__(self) -> str:
        """Return step and records in one line; the arrays of a batch would fill a screen."""
        return f"<StepInput of step {self.step}: {len(self.indices)} records>"

    def begin(self, state: Leaves) -> Leaves:
        """Return the state from which the step starts, with the leaves that an intervention has changed."""
        if not self.changed:
            return state
        return tuple(
            jax.device_put(self.changed[place], leaf.sharding) if place in self.changed else jnp.array(leaf)
            for place, leaf in enumerate(state)
        )


def plan(
    commitment: Commitment, start: int, stop: int
) -> Iterator[tuple[int, UInt32[np.ndarray, " words"], UInt64[np.ndarray, " batch"]]]:
    """Yield number, key data and record indices of the steps from ``start`` up to ``stop - 1``."""
    digest, schedule, records = commitment.digest(), commitment.schedule, commitment.data.records
    block = max(1, min(_BLOCK_STEPS, _BLOCK_RECORDS // schedule.batch_size))
    for first in range(start, stop, block):
        last = min(first + block, stop)
        keys = step_keys(digest, schedule.prng, first, last)
        indices = batch_indices(digest, records, schedule.batch_size, first, last)
        yield from zip(range(first, last), keys, indices, strict=True)


def step_inputs(
    commitment: Commitment,
    source: Source,
    start: int,
    stop: int,
    changes: Changes = unchanged,
    rows: Int64[np.ndarray, " rows"] | slice = EVERY,
) -> Iterator[StepInput]:
    """Yield the inputs of the steps from ``start`` up to ``stop - 1``; ``changes`` tells of interventions.

    Only ``rows`` of each batch are read.

    Records are read only when they are needed. The loop runs ahead of the device, so that reading costs no time unless
    it takes longer than the step itself.

    Raises:
        DataError: the number of records, or the shape of one, is not the committed one.
    """
    spec, records = commitment.data.record, commitment.data.records
    size = number_of_records(source)
    if size != records:  # the order of records is a permutation of exactly so many
        raise DataError(f"the source has {size} records, but the commitment has {records}; use the committed data set")
    planned = plan(commitment, start, stop)
    at_once = steps_at_once(spec, commitment.schedule.batch_size) if hasattr(source, "records_at") else 1
    while block := list(islice(planned, at_once)):
        places = np.stack([indices[rows] for _, _, indices in block]).astype(np.int64)
        read = take(source, spec, places.reshape(-1))
        for at, (step, key, indices) in enumerate(block):
            begin, end = at * places.shape[1], (at + 1) * places.shape[1]
            # An intervention after the step before puts leaves into the state that this step begins with (section 2.2).
            yield StepInput(step, key, indices, tuple(leaf[begin:end] for leaf in read), changes(step - 1), rows)


def steps_at_once(record: RecordSpec, batch_size: int) -> int:
    """Return for how many steps records are read at once: each call, or message to another process, has its price."""
    return max(1, min(_BLOCK_STEPS, _READ_BYTES // (batch_size * max(1, nbytes(record)))))

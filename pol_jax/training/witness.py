"""A witness makes the ledger rows of executed steps, for provers and verifiers, and an observer receives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np
from jaxtyping import UInt8, UInt64

from pol_jax.protocol.encoding import Digest, batch_digest
from pol_jax.protocol.rows import Row, RowLayout
from pol_jax.training.device_digests import DeviceDigests
from pol_jax.training.inputs import StepInput
from pol_jax.training.processes import Processes
from pol_jax.training.records import Batch
from pol_jax.training.shards import ShardedLayout, ShardedState
from pol_jax.training.states import HostState, Layout

StateOrDigest: TypeAlias = HostState | DeviceDigests | Digest
"""A row is made from a state, or from as much of it as this."""


@runtime_checkable
class Observer(Protocol):
    """An observer is told of every step, in order, by the thread that follows the loop; its errors end the loop."""

    def __call__(self, row: Row, state: HostState | None, /) -> None:
        """Receive the row of a step, and the state after it if the witness keeps that."""


@runtime_checkable
class BatchChecker(Protocol):
    """A batch checker compares batches with digests, as `pol_jax.training.committed_records.CommittedRecords` does."""

    def check(self, batch: Batch, indices: UInt64[np.ndarray, " batch"], /) -> UInt8[np.ndarray, "batch 32"]:
        """Return the digests of the records of a batch; raise an error if they are not the committed ones."""

    def committed(self, indices: UInt64[np.ndarray, " batch"], /) -> UInt8[np.ndarray, "batch 32"]:
        """Return the committed digests of records."""


@dataclass(frozen=True)
class Witness:
    """A witness makes the ledger rows of executed steps.

    Attributes:
        layout: the layout of the state.
        records: the committed records.
        wants: whether the row of a step has the digest of the state after it.
        rows: which metrics the rows have.
        keeps: whether the observer needs the state after a step itself, of those whose digest is wanted.
        processes: that train together.
    """

    layout: Layout
    records: BatchChecker
    wants: Callable[[int], bool]
    rows: RowLayout
    keeps: Callable[[int], bool] = lambda _step: False
    processes: Processes | None = None

    def initial(self, key: np.ndarray, state: HostState) -> Row:
        """Return row 0, which is that of the initial state."""
        digest = self.digest(0, state)
        return Row(0, _key_bytes(key), np.empty(0, np.uint64), batch_digest([]), digest, b"", self.rows)

    def row(self, inputs: StepInput, metrics: Sequence[jax.Array], state: StateOrDigest | None) -> Row:
        """Return the row of an executed step, computed from the same arrays that the step received.

        Args:
            inputs: what the step received.
            metrics: those of the rows, in order.
            state: the state after the step or its digest, if that is wanted.

        Raises:
            DataError: a record is not the committed one.
            ProcessError: another process has failed, or has not reported the step.
            DivergenceError: devices that have the same part of the state have other bits.
        """
        # Of what this process has read: the others check their rows of the batch themselves.
        digests = self.records.check(inputs.batch, inputs.indices[inputs.rows])
        if len(digests) != len(inputs.indices):  # other processes have checked the rest
            digests = self.records.committed(inputs.indices)
        return Row(
            step=inputs.step,
            key=_key_bytes(inputs.key),
            indices=inputs.indices,
            batch=batch_digest([digests.tobytes()]),
            state=self.digest(inputs.step, state),
            metrics=self._metrics(inputs.step, metrics),
            layout=self.rows,
        )

    def _metrics(self, step: int, metrics: Sequence[jax.Array]) -> bytes:
        """Return the metrics of the first device, as a replay in one process has them, if devices differ.

        The rows of the first process are written, and a mesh may begin with a device of another one.
        """
        own = b"".join(np.asarray(each).astype("<f4", copy=False).tobytes() for each in metrics)
        first = self.layout.placement.first_process if isinstance(self.layout, ShardedLayout) else 0
        if self.processes is None or self.processes.count == 1 or first == 0:
            return own
        return self.processes.agree(f"the metrics of step {step}", own, lambda every: every[first])

    def digest(self, step: int, state: StateOrDigest | None) -> Digest | None:
        """Return the digest of a state, when all processes have reported the step."""
        # A program that gives each device its own is found after the first step, and not at the first checkpoint.
        compared = isinstance(state, ShardedState) and (self.keeps(step) or (self.processes is not None and step == 1))
        if isinstance(state, ShardedState) and compared:
            state.check_replicas()
        if self.processes is None or self.processes.count == 1:
            return state if isinstance(state, Digest | None) else state.digest()
        if state is None:
            # Without a state too: a row is recorded only when every process has executed its step.
            self.processes.agree(f"step {step}", b"", lambda _: b"")
            return None
        layout = self.layout
        assert isinstance(layout, ShardedLayout)  # noqa: S101  # so states lie where there are several processes
        assert isinstance(state, ShardedState | DeviceDigests)  # noqa: S101
        own = state.digest_pieces(with_copies=compared)
        return self.processes.agree(f"step {step}", own, lambda every: layout.combine(dict(enumerate(every))))


def _key_bytes(key: np.ndarray) -> bytes:
    return key.astype("<u4", copy=False).tobytes()

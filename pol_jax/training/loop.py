"""The one loop that executes steps.

The prover is this loop with a recorder, replay is this loop with a comparer. Steps are dispatched without waiting for
them; one thread behind the loop fetches what the ledger wants of each, in order, and hands it to the observer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import UInt8, UInt64

from pol_jax.program.artifact import Leaves, Program
from pol_jax.protocol.encoding import batch_digest
from pol_jax.protocol.rows import Row
from pol_jax.training.inputs import StepInput
from pol_jax.training.records import Batch
from pol_jax.training.states import HostState, Layout, Packed

_WAITING_STEPS = 64
_WAITING_BYTES = 2**22


@runtime_checkable
class Observer(Protocol):
    """Told of every step, in order, from a thread behind the loop; an exception ends the loop."""

    def __call__(self, row: Row, state: HostState | None, /) -> None:
        """Take the row of a step, and the state after it where the row has its digest."""


@runtime_checkable
class Records(Protocol):
    """What batches are held against; `pol_jax.training.committed_records.CommittedRecords` is one."""

    def check(self, batch: Batch, indices: UInt64[np.ndarray, " batch"], /) -> UInt8[np.ndarray, "batch 32"]:
        """The digests of the records of a batch; an error, if they are not the committed ones."""


@dataclass(frozen=True)
class Witness:
    """Makes ledger rows of executed steps.

    Attributes:
        layout: the state's.
        records: the committed ones.
        wants: whether the state after a step is to be digested.
    """

    layout: Layout
    records: Records
    wants: Callable[[int], bool]

    def initial(self, key: np.ndarray, state: HostState) -> Row:
        """Row 0."""
        return Row(0, _key_bytes(key), np.empty(0, np.uint64), batch_digest([]), state.digest(), None)

    def row(self, inputs: StepInput, loss: jax.Array, state: HostState | None) -> Row:
        """The row of an executed step, from the very arrays that it received.

        Raises:
            DataError: a record is not the committed one.
        """
        digests = self.records.check(inputs.batch, inputs.indices)
        return Row(
            step=inputs.step,
            key=_key_bytes(inputs.key),
            indices=inputs.indices,
            batch=batch_digest([digests.tobytes()]),
            state=None if state is None else state.digest(),
            loss=np.asarray(loss).astype("<f4", copy=False).tobytes(),
        )


def run(program: Program, state: Leaves, inputs: Iterable[StepInput], following: Following) -> Leaves:
    """Execute a step for each of ``inputs``, from ``state``, which is donated.

    Returns:
        The last state, when every step has been observed.
    """
    for each in inputs:
        state, metrics = program.step(state, each.batch, each.key)
        following.follow(each, state, metrics)
    following.wait()
    return state


@dataclass(frozen=True)
class _Executed:
    """A step that was dispatched: its input, loss and packed state."""

    inputs: StepInput
    loss: jax.Array
    packed: Packed | None


class Following:
    """The thread behind a loop: makes rows of executed steps and hands them on, in order.

    A training loop of the user's own is followed in the same way as `run`.
    """

    def __init__(self, program: Program, witness: Witness, observe: Observer) -> None:
        """Follow steps of ``program``."""
        self._program, self._witness, self._observe = program, witness, observe
        self._steps: SimpleQueue[_Executed | Event | None] = SimpleQueue()
        self._room = Semaphore(max(1, min(_WAITING_STEPS, _WAITING_BYTES // max(1, witness.layout.nbytes))))
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="pol-witness", daemon=True)
        self._thread.start()

    def follow(self, inputs: StepInput, state: Leaves, metrics: Sequence[jax.Array]) -> None:
        """Take note of a step that was dispatched; waits only when too many are pending.

        Args:
            inputs: what went into the step.
            state: what came out; may be donated as soon as this returns.
            metrics: the step's metrics.
        """
        packed = self._witness.layout.pack(state) if self._witness.wants(inputs.step) else None
        self._room.acquire()
        self._raise()
        self._steps.put(_Executed(inputs, self._program.loss(metrics), packed))

    def wait(self) -> None:
        """Wait until every step so far was observed."""
        reached = Event()
        self._steps.put(reached)
        reached.wait()
        self._raise()

    def __enter__(self) -> Following:
        """The follower itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Wait for what is pending; after an error, drop it."""
        if kind is not None and self._error is None:
            self._error = error
        self._steps.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (item := self._steps.get()) is not None:
            if isinstance(item, Event):
                item.set()
                continue
            if self._error is None:  # the rows behind a failed one must not be recorded
                try:
                    self._take(item)
                except BaseException as error:  # noqa: BLE001  # raised again in the thread that runs the loop
                    self._error = error
            self._room.release()

    def _take(self, executed: _Executed) -> None:
        packed = executed.packed
        state = None if packed is None else self._witness.layout.fetch(packed)
        self._observe(self._witness.row(executed.inputs, executed.loss, state), state)


def _key_bytes(key: np.ndarray) -> bytes:
    return key.astype("<u4", copy=False).tobytes()

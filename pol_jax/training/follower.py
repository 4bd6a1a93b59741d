"""One thread follows the loop: it fetches what the ledger needs of each step, in order, for the observer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeAlias

import jax

from pol_jax.errors import ProcessError
from pol_jax.program.artifact import Leaves, Program
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.encoding import Digest
from pol_jax.training.device_digests import DeviceDigests
from pol_jax.training.freed_memory import return_to_system
from pol_jax.training.inputs import StepInput
from pol_jax.training.processes import lost_process
from pol_jax.training.states import HostState, Packed
from pol_jax.training.user_code import calling
from pol_jax.training.witness import Observer, StateOrDigest, Witness

# The loop may be ahead of its follower by so many steps, by so many bytes of batches, and by so many bytes of copied
# states; but always by two steps and batches, and by two states that are no larger. Of larger ones there is one copy,
# beside the one that Orbax makes: a loop that comes to the next checkpoint before the last one is written waits for it.
_WAITING_STEPS = 256
_WAITING_BATCHES = 2**26
_WAITING_STATES = 2**26

OnStep: TypeAlias = Callable[[int, Mapping[str, float]], None]
"""A function of the caller's own that receives the number of a step and all its metrics, in order of the steps."""


@dataclass(frozen=True)
class _Digested:
    """A digested state leaves its digest, if that is wanted, and a copy of it, if that is kept."""

    digest: Digest | None = None
    kept: HostState | None = None


@dataclass(frozen=True)
class _Executed:
    """An executed step is one that was dispatched, with its input, its metrics, and what is needed of its state."""

    inputs: StepInput
    metrics: Sequence[jax.Array]
    state: Packed | DeviceDigests | _Digested

    @property
    def holds_state(self) -> bool:
        """Return whether memory for a state is held until the step has been observed."""
        if isinstance(self.state, _Digested):
            return self.state.kept is not None
        return not isinstance(self.state, DeviceDigests)


class Follower:
    """A follower is the thread behind a loop that makes rows of executed steps and passes them on, in order.

    A training loop of the user's own is followed in the same way as `run`.

    Attributes:
        last: the state after the last step that was followed; its memory is reused by the next one.
    """

    def __init__(
        self,
        program: Program,
        witness: Witness,
        observe: Observer,
        on_step: OnStep | None = None,
        most_copies: int = sys.maxsize,
    ) -> None:
        """Begin to follow steps of ``program``.

        Args:
            program: what runs.
            witness: makes the rows.
            observe: receives the rows.
            on_step: receives all metrics of each step, after its row was observed.
            most_copies: of states that wait, however small they are. Copies that wait bridge what a checkpoint takes
                to be written; where none is, they would only take memory.
        """
        self._program, self._witness, self._observe, self._on_step = program, witness, observe, on_step
        self._places = [program.signature.metrics.index(name) for name in witness.rows.metrics]
        batch = program.signature.batch_size * nbytes(program.signature.record)
        room = max(2, min(_WAITING_STEPS, _WAITING_BATCHES // max(1, batch)))
        size = witness.layout.nbytes
        room_of_states = max(2, _WAITING_STATES // max(1, size)) if size <= _WAITING_STATES else 1
        self._room, self._room_of_states = Semaphore(room), Semaphore(min(room_of_states, most_copies))
        self._steps: SimpleQueue[_Executed | Event | None] = SimpleQueue()
        self._error: BaseException | None = None
        self.last: Leaves = ()
        self._noticed, self._watch = Event(), ExitStack()
        # A daemon thread does not keep a process alive whose loop has failed.
        self._thread = Thread(target=self._work, name="pol-witness", daemon=True)
        self._thread.start()

    def follow(self, inputs: StepInput, state: Leaves, metrics: Sequence[jax.Array]) -> None:
        """Take note of a step that was dispatched; this waits only if too many are pending, or to digest a large state.

        Args:
            inputs: what the step received.
            state: the state that it returned, whose memory may be reused as soon as this function returns.
            metrics: the metrics that it returned.
        """
        self.last = state
        executed = _Executed(inputs, metrics, self._take_state(inputs.step, state))
        if self._is_taken_here(inputs.step):
            self.wait()
            with jax.transfer_guard("allow"):
                self._take(executed)
            held = executed.holds_state
            del executed  # nothing else has the state now
            self._give_back(inputs.step, held)
            return
        self._room.acquire()
        self._raise()
        self._steps.put(executed)

    def within(self, step: int) -> AbstractContextManager[None]:
        """Return what lets a step be dispatched or observed, and gives it up if another process keeps it for ever."""
        processes = self._witness.processes
        return nullcontext() if processes is None or processes.count == 1 else processes.within(f"step {step}")

    def _is_taken_here(self, step: int) -> bool:
        """Return whether the thread that runs the loop takes a step itself, after all before it.

        Of several processes, each writes what it has of a kept state; Orbax compares by a collective where they do,
        and collectives must be begun in one order in all processes.
        """
        processes = self._witness.processes
        return processes is not None and processes.count > 1 and self._witness.keeps(step)

    def _take_state(self, step: int, state: Leaves) -> Packed | DeviceDigests | _Digested:
        """Take from a state what is needed of it, now, because the next step reuses its memory."""
        witness = self._witness
        if not witness.wants(step):
            return _Digested()
        # A state that is kept comes to the host anyway, and is digested there.
        if not witness.keeps(step) and (digests := witness.layout.digest_on_device(state)):
            return digests
        if not witness.layout.is_digested_in_place(state):
            self._room_of_states.acquire()
            return witness.layout.pack(state)
        found = witness.layout.view(state)
        if not witness.keeps(step):
            return _Digested(found.digest())
        self._room_of_states.acquire()
        return _Digested(found.digest(), found.copy())

    def wait(self) -> None:
        """Wait until every step so far has been observed."""
        reached = Event()
        self._steps.put(reached)
        reached.wait()
        self._raise()

    def __enter__(self) -> Follower:
        """Return the follower itself."""
        if processes := self._witness.processes:
            self._watch.enter_context(processes.watching(self._end))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Wait for pending steps, or drop them after an error."""
        self._noticed.set()
        if kind is not None and self._error is None:
            self._error = error
        self._steps.put(None)
        processes = self._witness.processes  # one of them may be gone, and the thread wait for it
        self._thread.join(processes.grace if kind and processes and processes.count > 1 else None)
        self._watch.close()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            self._noticed.set()
            raise self._error

    def _work(self) -> None:
        with jax.transfer_guard("allow"):  # whatever the caller forbids their own code; once, since it is slow to enter
            while (item := self._steps.get()) is not None:
                if isinstance(item, Event):
                    item.set()
                    continue
                self._follow_up(item)
                step, held, item = item.inputs.step, item.holds_state, None  # nothing else has the state now
                self._give_back(step, held)
                self._room.release()

    def _follow_up(self, executed: _Executed) -> None:
        """Take a step, unless one before it failed."""
        if self._error is None:  # the rows after a failed one must not be recorded
            try:
                self._take(executed)
            except BaseException as error:  # noqa: BLE001  # raised again in the thread that runs the loop
                self._error = error
                self._tell(error)

    def _give_back(self, step: int, held: bool) -> None:
        """Make room for another state, now that the one after this step was observed, and nothing refers to it."""
        if held and self._witness.keeps(step):  # it was saved, too
            return_to_system(self._witness.layout.nbytes)
        if held:
            self._room_of_states.release()

    def _tell(self, error: BaseException) -> None:
        """Tell the other processes, which wait for what this one has to report; and don't wait for them for ever."""
        if processes := self._witness.processes:
            processes.fail(error)
            if isinstance(error, ProcessError):  # the loop may hang
                Thread(target=self._end, args=(error,), name="pol-end", daemon=True).start()

    def _end(self, error: ProcessError) -> None:
        """End this process if the thread that runs the loop hangs in a collective with a process that is gone."""
        self._error = self._error or error
        if self._witness.processes and not self._noticed.wait(self._witness.processes.grace):
            sys.stderr.write(f"pol_jax: {error}\n")
            sys.stderr.flush()
            # Any other exit waits for the thread that hangs in a collective.
            os._exit(error.exit_code)

    def _take(self, executed: _Executed) -> None:
        try:
            with self.within(executed.inputs.step):
                self._take_row(executed)
        except jax.errors.JaxRuntimeError as error:
            if self._witness.processes is None or self._witness.processes.count == 1:
                raise
            raise ProcessError(f"step {executed.inputs.step}: {lost_process(error)}") from error

    def _take_row(self, executed: _Executed) -> None:
        state, kept = self._state_of(executed)
        recorded = tuple(executed.metrics[place] for place in self._places)
        row = self._witness.row(executed.inputs, recorded, state)
        self._observe(row, kept)
        if self._on_step:
            names = self._program.signature.metrics
            values = {name: float(value) for name, value in zip(names, executed.metrics, strict=True)}
            with calling(f"on_step of step {row.step}"):
                self._on_step(row.step, values)

    def _state_of(self, executed: _Executed) -> tuple[StateOrDigest | None, HostState | None]:
        """Return what the row needs of the state, and the state itself if the observer needs it."""
        if isinstance(executed.state, _Digested):
            return executed.state.digest, executed.state.kept
        if isinstance(executed.state, DeviceDigests):
            return executed.state, None
        state = self._witness.layout.fetch(executed.state)
        return state, state if self._witness.keeps(executed.inputs.step) else None

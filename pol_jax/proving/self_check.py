"""A run may execute some of its segments a second time while it goes on: this is how silent data corruption is found.

Memory, buses and processors sometimes flip a bit and tell nobody. A step that gives another result the second time,
from the same state and with the same inputs, shows it, and names the first step that is concerned.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pol_jax.errors import DivergenceError
from pol_jax.program.artifact import Program
from pol_jax.protocol.commitment import Schedule
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.proving.recorder import Recorder
from pol_jax.training.inputs import StepInput
from pol_jax.training.states import HostState
from pol_jax.training.witness import Witness
from pol_jax.verifying.row_comparison import RowComparer, replay_steps


@dataclass(frozen=True)
class Executor:
    """An executor executes steps of a run again.

    Attributes:
        program: of the run.
        witness: makes its rows.
        inputs: of the steps from one number up to another, the last one left out.
    """

    program: Program
    witness: Witness
    inputs: Callable[[int, int], Iterable[StepInput]]


class SelfChecker:
    """An observer of the loop: it hands rows to the recorder, and executes some segments again at their end.

    The segments are chosen by chance, each as it begins. The run waits meanwhile.
    """

    def __init__(self, recorder: Recorder, executor: Executor, schedule: Schedule, steps: int, every: int) -> None:
        """Check one segment of ``every``, on average.

        Args:
            recorder: takes the rows.
            executor: of the run.
            schedule: of the run; segments end at its checkpoints.
            steps: of the run.
            every: 1 to check all segments.
        """
        self._recorder, self._executor = recorder, executor
        self._schedule, self._steps, self._every = schedule, steps, every
        self._begun: tuple[int, HostState] | None = None
        self._rows: list[Row] = []

    def begin(self, step: int, state: HostState) -> None:
        """Choose whether the segment that begins after ``step``, with this state, is checked."""
        self._rows = []
        # By chance, so that a fault which comes back at some places of a run is not missed each time.
        self._begun = (step, state) if secrets.randbelow(self._every) == 0 else None

    def __call__(self, row: Row, state: HostState | None) -> None:
        """Check the row of a step, and pass it on.

        Raises:
            DivergenceError: the segment that ends here has a step that gives another result the second time. Its rows
                are removed, and its checkpoint is not written, so that the same command continues before it.
        """
        ends = state is not None and self._schedule.has_checkpoint(row.step, self._steps)
        if self._begun is not None:
            self._rows.append(row)
            if ends:
                # Before the row is recorded: a segment that fails must not be sealed, nor its checkpoint written.
                self._check(*self._begun, row.step)
        self._recorder(row, state)
        if ends and state is not None:
            self.begin(row.step, state)

    def _check(self, start: int, state: HostState, stop: int) -> None:
        executor, leaves = self._executor, self._executor.program.put(state.leaves)
        comparer = RowComparer(iter(self._rows), Span(start, stop))
        inputs = executor.inputs(start + 1, stop + 1)
        result = replay_steps(executor.program, executor.witness, leaves, inputs, comparer)
        if result.mismatch is not None:
            # Rows of a segment that nobody can trust must not be compared with when it is executed again.
            self._recorder.drop_open_rows()
            raise DivergenceError(
                f"step {result.mismatch} gives another result when it is executed again ({', '.join(result.fields)}): "
                f"memory or processor of this machine can't be trusted. The rows after step {start} were removed; "
                "check the machine, then continue with the same command"
            )

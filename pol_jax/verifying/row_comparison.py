"""The rows of executed steps are compared bit for bit with the ledger's, up to the first that differs (stage 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import jax

from pol_jax.errors import BackendError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.artifact import Leaves, Program, executing
from pol_jax.program.placement import place
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.rows import Row, differing_columns
from pol_jax.protocol.spans import Span
from pol_jax.training.follower import Follower
from pol_jax.training.inputs import StepInput
from pol_jax.training.loop import run
from pol_jax.training.states import HostState
from pol_jax.training.witness import Witness
from pol_jax.verifying.copies import check_copies

_COPIES: Final = 2
"""One copy of a state is digested while the next step runs: a replay writes nothing that more would wait for."""


def placed_program(program: Program, commitment: Commitment) -> Program:
    """Return a program on a mesh like that of the run, if this backend can run it so; else on one device.

    Raises:
        BackendError: the program names the devices of the mesh, and this backend has fewer.
    """
    mesh, batch_size = commitment.mesh, commitment.schedule.batch_size
    # Sums over devices depend on how arrays are cut. On fewer devices bits say nothing, and numbers are compared.
    if mesh is None or jax.device_count() < mesh.device_count or not mesh.divides(batch_size):
        if program.names_devices:
            raise BackendError(
                f"the program names the devices of the run's mesh ({mesh}) and runs on no others; this backend has"
                f" {jax.device_count()}. On CPUs leave --xla_force_host_platform_device_count out of XLA_FLAGS: a"
                " verifier takes as many virtual ones, up to 256"
            )
        return program
    return program.on(place(mesh))


class RowComparer:
    """This observer of the loop compares each row with the ledger's, and stops at the first that differs."""

    def __init__(
        self,
        rows: Iterator[Row],
        span: Span,
        report: Callable[[Row], None] | None = None,
        *,
        states_only: bool = False,
    ) -> None:
        """Compare the steps of ``span`` with ``rows``, or their states alone, and report each that is equal."""
        self._rows, self.span, self._report = rows, span, report
        self._states_only = states_only

    def __call__(self, row: Row, state: HostState | None) -> None:
        """Compare the row of the next step."""
        expected = next(self._rows)
        if row.state != expected.state if self._states_only else row != expected:
            fields = tuple(differing_columns(expected, row))
            # There is one loop for all who execute steps, and an observer has no other way to end it.
            raise _Mismatch(ReplayResult(self.span, row.step, fields, row.digest()))
        if self._report:
            self._report(row)


class _Mismatch(Exception):
    """This exception ends a replay at the first row that differs."""

    def __init__(self, result: ReplayResult) -> None:
        super().__init__(result.mismatch)
        self.result = result


def replay_steps(
    program: Program, witness: Witness, state: Leaves, inputs: Iterable[StepInput], comparer: RowComparer
) -> ReplayResult:
    """Execute a step for each of ``inputs`` from ``state``, up to the first row that is not the ledger's.

    Raises:
        DataError: a record is not the committed one.
        BackendError: the program can't be executed here.
    """
    return replay_to_state(program, witness, state, inputs, comparer)[0]


def replay_to_state(
    program: Program, witness: Witness, state: Leaves, inputs: Iterable[StepInput], comparer: RowComparer
) -> tuple[ReplayResult, Leaves]:
    """Replay like `replay_steps`; return the last state too, or no leaves if a row differs."""
    try:
        with executing(program.signature), Follower(program, witness, comparer, most_copies=_COPIES) as follower:
            last = run(program, state, inputs, follower)
    except _Mismatch as mismatch:
        return mismatch.result, ()
    check_copies(program.signature, last)
    return ReplayResult(comparer.span), last

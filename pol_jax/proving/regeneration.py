"""The prover computes challenged states again, each step once, and compares every row with the ledger (section 14).

What this machine can't repeat, or sees to be false, is not opened: an opening of it would be rejected, and would look
like a forgery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pol_jax.errors import BackendError, ProofError
from pol_jax.program.artifact import Program, executing
from pol_jax.program.machine import current_environment
from pol_jax.progress import Progress
from pol_jax.protocol.rows import Row, differing_columns
from pol_jax.protocol.spans import Span, routes
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import FinishedProof
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.follower import Follower
from pol_jax.training.initial_state import first_key, taken_of
from pol_jax.training.inputs import step_inputs
from pol_jax.training.loop import run
from pol_jax.training.shards import layout_of
from pol_jax.training.states import HostState, Layout
from pol_jax.training.task import Source
from pol_jax.training.witness import Witness
from pol_jax.verifying.ancestry import check_taken
from pol_jax.verifying.backend_differences import differences_from
from pol_jax.verifying.row_comparison import placed_program


def regenerate(
    proof: FinishedProof, source: Source, wanted: Sequence[Span], secret: bytes | None, progress: Progress
) -> dict[int, HostState]:
    """Return the states at both ends of each span, and those of steps 0 and T.

    Every step is executed once, from the checkpoint before it. Steps 0 and T have checkpoints in every proof.
    """
    schedule, steps = proof.commitment.schedule, proof.segments.steps
    layout, program = Layout(proof.commitment.state), placed_program(proof.program(), proof.commitment)
    ends = {step: committed_state(proof, layout, step) for step in (0, steps)}
    # Before hours of replay: an opening of a false beginning would be rejected at once.
    check_initial(proof, program, ends[0])
    records = CommittedRecords(proof.records(), secret, proof.commitment.format)
    kept = {step for span in wanted for step in (span.start, span.stop)}
    witness = Witness(
        layout_of(program),
        records,
        lambda step: schedule.has_witness(step, steps),
        proof.commitment.row_layout,
        lambda step: step in kept,
    )
    found = routes(wanted, proof.checkpoints())
    keeper = _Keeper(kept, progress.at)
    progress.begin("regenerating", sum(len(route.span.steps) for route in found))
    try:
        for route in found:
            start, stop = route.span.start, route.span.stop
            state = ends[0] if start == 0 else committed_state(proof, layout, start)
            keeper.begin(proof, start, state)
            with executing(program.signature), Follower(program, witness, keeper) as follower:
                inputs = step_inputs(proof.commitment, source, start + 1, stop + 1, proof.changes)
                run(program, program.put(state.leaves), inputs, follower)
    finally:
        progress.end()
    return ends | keeper.states


def committed_state(proof: FinishedProof, layout: Layout, step: int) -> HostState:
    """Return the state of a checkpoint, which must be the one in the ledger.

    Raises:
        BackendError: it is another one.
    """
    state = layout.gather(proof.host_leaves(step))
    # Orbax does not notice a damaged array; a state that is not the one in the ledger would spoil all that follow.
    if state.digest() != proof.row(step).state:
        raise BackendError(f"the checkpoint after step {step} is not the state in the ledger; nothing is opened")
    return state


def check_initial(proof: FinishedProof, program: Program, state: HostState) -> None:
    """Refuse to open a run whose initial state is not what ``init`` gives here, beside leaves that were taken over.

    Raises:
        BackendError: it is another one, and this is not the prover's machine.
        ProofError: it is another one on the prover's machine, or other leaves were taken over.
    """
    check_taken(proof.commitment, state.leaves, checkpoint_name(0))
    with executing(program.signature):
        given = taken_of(proof.commitment, state.leaves)
        derived = layout_of(program).copy_of(program.start(first_key(proof.commitment), given))
    if derived.digest() == state.digest():
        return
    # On another machine than the prover's, other bits are nobody's lie, so the cure is named and no proof called false.
    differences = differences_from(proof.commitment, proof.claim, current_environment())
    if differences:
        raise BackendError(
            f"this machine can't regenerate the initial state: it is not the prover's ({'; '.join(differences)}); "
            "nothing is opened; open the steps on the machine where the proof was made"
        )
    raise ProofError(checkpoint_name(0), "is not the state that the init program gives; nothing is opened")


class _Keeper:
    """This observer of the loop compares each row with the ledger's, and keeps the states that are wanted."""

    def __init__(self, wanted: set[int], report: Callable[[int], None]) -> None:
        self._wanted, self._report, self._done = wanted, report, 0
        self._rows: Iterator[Row] = iter(())
        self.states: dict[int, HostState] = {}

    def begin(self, proof: FinishedProof, start: int, state: HostState) -> None:
        """Begin with the state of the checkpoint after step ``start``."""
        self._rows = proof.rows_after(start)
        self._keep(start, state)

    def __call__(self, row: Row, state: HostState | None) -> None:
        expected = next(self._rows)
        if row != expected:
            fields = ", ".join(differing_columns(expected, row))
            raise BackendError(
                f"this machine can't regenerate the run: step {row.step} differs from the ledger ({fields}); "
                "nothing is opened; open the steps on the machine where the proof was made"
            )
        self._keep(row.step, state)
        self._done += 1
        self._report(self._done)

    def _keep(self, step: int, state: HostState | None) -> None:
        if step in self._wanted and state is not None:
            # A copy of its own: the loop reuses the memory of this state.
            whole = Layout(state.layout.spec).gather([np.asarray(leaf) for leaf in state.leaves])
            self.states[step] = whole

"""Training with a proof: commit, run the loop with a recorder, claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import jax
import jax.numpy as jnp

from pol_jax.errors import DivergenceError, ProofError, StorageError, UsageError
from pol_jax.files import locked, storing, write_whole
from pol_jax.program.artifact import Leaves, Signature
from pol_jax.program.machine import current_environment
from pol_jax.progress import Progress, Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import FORMAT
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.protocol.trees import PyTree
from pol_jax.proving.commit import Choices, check_choices, write_commitment
from pol_jax.proving.fine_tuning import taken_leaves
from pol_jax.proving.open_run import agree_on_aim, forget, remember
from pol_jax.proving.recorder import Recorder
from pol_jax.proving.resumption import Resumption, find_resumption
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.export import structure_of
from pol_jax.training.initial_state import first_key, initial_leaves
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.loop import Follower, Witness, run
from pol_jax.training.states import Layout
from pol_jax.training.task import Task
from pol_jax.verifying.checks import check_files_to_states


def train(
    task: Task,
    out: Path | str,
    *,
    steps: int | None = None,
    keep_every: int | None = None,
    choices: Choices | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Train ``task`` with a proof in the directory ``out``; goes on by itself where an earlier run was interrupted.

    Args:
        task: what to train.
        out: the proof's directory; made if it is not there.
        steps: how many; None for what the interrupted run wanted, or the task's own number.
        keep_every: of so many checkpoints, one is kept, beside the last; a replay then has a longer way to a segment.
            None for what the interrupted run wanted, or all.
        choices: interval, seed, keys; must not contradict an interrupted run.
        progress: told of the steps.

    Returns:
        The finished proof.

    Raises:
        UsageError: a directory that is no proof's, or choices that contradict the run in it.
        DivergenceError: a recomputed step differs from the ledger.
        StorageError: the directory can't be written.
    """
    with Recording(task, out, steps=steps, keep_every=keep_every, choices=choices, progress=progress) as recording:
        recording.run()
    return open_proof(out)


class Recording:
    """A run that is being recorded, for a training loop of one's own.

    Example:
        >>> with Recording(task, "proof", steps=1000) as recording:
        ...     state = recording.state
        ...     for inputs in recording:
        ...         state, metrics = recording.step(state, inputs)

    Leaving the ``with`` block after the last step writes the claim; leaving it before (a crash, a ``break``) keeps the
    run open, and the same code goes on with it.

    Attributes:
        program: the exported program that runs.
        leaves: the state to begin with, as plain arrays.
        steps: T.
        start: the last step that is done already.
        damaged: checkpoints that were passed over when resuming, one line each.
        finished: whether the claim is there already.
        follower: takes note of every step that runs.
    """

    def __init__(
        self,
        task: Task,
        out: Path | str,
        *,
        steps: int | None = None,
        keep_every: int | None = None,
        choices: Choices | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Commit, or find what an interrupted run left; see `train` for the arguments and errors."""
        self._root, self._task = Path(out), task
        self._progress: Progress = progress or Silent()
        self._choices = choices or Choices()
        self._stack = ExitStack()
        with ExitStack() as opening:
            opening.enter_context(locked(self._root))
            with storing(self._root):
                self._open(steps, keep_every, opening)
            self._stack = opening.pop_all()

    def _open(self, steps: int | None, keep_every: int | None, stack: ExitStack) -> None:
        self.commitment = self._committed()
        self.finished = (self._root / inventory.FILE).exists()
        aim = agree_on_aim(self._root, steps, keep_every, self._task.steps)
        self.steps = aim.steps
        signature = Signature.from_commitment(self.commitment)
        self._structure = structure_of(self._task, signature.prng)
        if self._structure.spec != signature.state:
            raise UsageError(
                f"{self._root}: the task's state is not the committed one; use the task that began this run"
            )
        proof = open_proof(self._root)
        self.program = proof.program()
        layout, schedule = Layout(signature.state), self.commitment.schedule
        self.witness = Witness(
            layout,
            CommittedRecords(proof.records(), self._choices.secret),
            lambda step: schedule.has_witness(step, self.steps),
        )
        if self.finished:
            self.start, self.damaged, self.leaves = self.steps, list[str](), proof.final_leaves()
            return
        resumption = find_resumption(self._root, schedule, layout, self.steps)
        remember(self._root, aim)
        self.start, self.damaged = max(0, resumption.start), resumption.damaged
        self.recorder = Recorder(self._root, schedule, layout, aim, resumption, self._report)
        stack.callback(self.recorder.close)
        self.leaves = self._first_leaves(resumption)
        self._progress.begin("training", self.steps, self.start)

    @property
    def state(self) -> PyTree:
        """The state to begin with, as the task's own pytree."""
        return self._structure.state(self.leaves)

    def task_state(self, proof: Proof) -> PyTree:
        """The final state of a finished proof, as the task's own pytree."""
        return self._structure.state(proof.final_leaves())

    def __iter__(self) -> Iterator[StepInput]:
        """The inputs of the steps that are still to do."""
        return step_inputs(self.commitment, self._task.source, self.start + 1, self.steps + 1)

    def run(self) -> None:
        """All steps that are still to do."""
        if not self.finished:
            run(self.program, self.leaves, self, self.follower)

    def step(self, state: PyTree, inputs: StepInput) -> tuple[PyTree, Mapping[str, jax.Array]]:
        """One step of the exported program on the task's own pytree; ``state`` is donated.

        Args:
            state: the state after the step before.
            inputs: of this recording's iteration.
        """
        leaves, metrics = self.program.step(self._structure.leaves(state), inputs.batch, inputs.key)
        self.follower.follow(inputs, leaves, metrics)
        return self._structure.state(leaves), dict(zip(self.program.signature.metrics, metrics, strict=True))

    def __enter__(self) -> Recording:
        """The recording itself."""
        if not self.finished:
            self._stack.callback(self._progress.end)
            self.follower = self._stack.enter_context(Follower(self.program, self.witness, self.recorder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the claim if all steps are done; let the directory go."""
        with self._stack:
            if kind is None and not self.finished:
                self.follower.wait()
                if len(self.recorder.digests) == self.steps + 1:
                    with storing(self._root):
                        self._claim()

    def _committed(self) -> Commitment:
        if not (self._root / commitments.FILE).exists():
            return write_commitment(self._root, self._task, self._choices, self._progress)
        commitment = open_proof(self._root).commitment
        check_choices(commitment, self._task, self._choices)
        return commitment

    def _first_leaves(self, resumption: Resumption) -> Leaves:
        if resumption.state is not None:
            return tuple(jnp.array(leaf) for leaf in resumption.state)
        given = taken_leaves(self.commitment, self._choices.start)
        leaves = initial_leaves(self.program, self.commitment, given)
        state = self.witness.layout.gather(leaves)
        self.recorder(self.witness.initial(first_key(self.commitment), state), state)
        return tuple(jnp.array(leaf) for leaf in leaves)

    def _report(self, row: Row) -> None:
        self._progress.at(row.step, row.loss_value)

    def _claim(self) -> None:
        """Write the claim and the inventory, and read everything back before saying that it is there."""
        assert self.recorder.last_state is not None  # noqa: S101  # the last row has a witness
        there = open_proof(self._root).claim  # of a run that was killed while it finished
        claim = Claim(
            format=FORMAT,
            commitment=self.commitment.digest().hex(),
            ledger_root=merkle.root(self.recorder.digests).hex(),
            steps=self.steps,
            final_state=self.recorder.last_state.hex(),
            environment=there.environment if there else current_environment(),
        )
        if there not in (None, claim):
            raise DivergenceError(f"{self._root}: the claim that is there is not that of the ledger; start a new run")
        write_whole(self._root / claims.FILE, encode(claim))
        self.recorder.remove_journal()
        forget(self._root)
        limits = Limits(constant_bytes=self.program.constant_bytes)  # bounded when it was exported
        try:
            write_whole(self._root / inventory.FILE, take_inventory(self._root, limits))
            check_files_to_states(self._root, limits)
        except ProofError as error:
            (self._root / inventory.FILE).unlink(missing_ok=True)
            raise StorageError(f"what was written can't be read back: {error}") from error

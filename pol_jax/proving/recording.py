"""A prover trains with a proof: it commits, runs the loop with a recorder, and writes the claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.errors import DivergenceError, ProofError, StorageError, UsageError
from pol_jax.files import locked, storing, write_whole
from pol_jax.program.artifact import Leaves, Signature
from pol_jax.progress import Progress, Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import Claim, EnvironmentFrom
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.protocol.trees import PyTree
from pol_jax.proving.commit import Choices, check_choices, write_commitment
from pol_jax.proving.fine_tuning import taken_leaves
from pol_jax.proving.interventions import Interventions
from pol_jax.proving.open_run import agree_on_aim, check_count, forget, own_environment, past_interventions
from pol_jax.proving.recorder import Recorder
from pol_jax.proving.resumption import Resumption, find_resumption
from pol_jax.proving.self_check import Executor, SelfChecker
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.export import structure_of
from pol_jax.training.initial_state import first_key, initial_leaves
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.loop import Follower, Observer, Witness, run
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
    self_check: int | None = None,
) -> Proof:
    """Train ``task`` with a proof in the directory ``out``, or continue a run there that was interrupted.

    Args:
        task: what to train.
        out: the proof's directory, which is made if it does not exist.
        steps: number of steps; None for that of the interrupted run, or else of the task.
        keep_every: one checkpoint of this many is kept, and always the last one. The proof is then smaller, and replays
            take longer to reach a segment. None for what the interrupted run had, or else for all checkpoints.
        choices: interval, seed, keys and other choices, which must not contradict an interrupted run.
        progress: told of the steps.
        self_check: one segment of so many, chosen by chance, is executed a second time when it ends, so that silent
            data corruption is found. None for no segment.

    Returns:
        The finished proof.

    Raises:
        UsageError: the directory has other files than a proof's, or the choices contradict the run in it.
        DivergenceError: a recomputed step differs from the ledger, or gives another result the second time.
        StorageError: the directory can't be written.
    """
    with Recording(
        task, out, steps=steps, keep_every=keep_every, choices=choices, progress=progress, self_check=self_check
    ) as recording:
        recording.run()
    return open_proof(out)


class Recording:
    """A recording is a run that is being recorded; with it, a training loop of one's own makes a proof.

    Example:
        >>> with Recording(task, "proof", steps=1000) as recording:
        ...     state = recording.state
        ...     for inputs in recording:
        ...         state, metrics = recording.step(state, inputs)

    Leaving the ``with`` block after the last step writes the claim. Leaving it earlier, by a crash or a ``break``,
    keeps the run open, and the same code continues it.

    Attributes:
        program: the exported program that runs.
        leaves: the state to begin with, as plain arrays.
        steps: number of steps, T.
        start: the last step that is done already.
        damaged: checkpoints that were skipped when the run was continued, one line each.
        finished: whether the proof is finished already.
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
        self_check: int | None = None,
    ) -> None:
        """Commit, or find what an interrupted run left; arguments and errors are those of `train`."""
        self._root, self._task = Path(out), task
        self._progress: Progress = progress or Silent()
        self._choices = choices or Choices()
        self._self_check = None if self_check is None else check_count("self_check", self_check)
        self._stack = ExitStack()
        with ExitStack() as opening:
            opening.enter_context(locked(self._root))
            with storing(self._root):
                self._open(steps, keep_every, opening)
            self._stack = opening.pop_all()

    def _open(self, steps: int | None, keep_every: int | None, stack: ExitStack) -> None:
        self.commitment = self._committed(steps)
        self.finished = (self._root / inventory.FILE).exists()
        aim = agree_on_aim(self._root, steps, keep_every)
        self.steps = aim.steps
        signature = Signature.from_commitment(self.commitment)
        self._structure = structure_of(self._task, signature.prng)
        if self._structure.spec != signature.state:
            raise UsageError(
                f"{self._root}: the task's state is not the committed one; use the task with which the run began"
            )
        proof = open_proof(self._root)
        self.program = proof.program()
        layout, schedule = Layout(signature.state), self.commitment.schedule
        self.witness = Witness(
            layout,
            CommittedRecords(proof.records(), self._choices.secret, self.commitment.format),
            lambda step: schedule.has_witness(step, self.steps),
            self.commitment.row_layout,
        )
        made = proof.claim.interventions if proof.claim else past_interventions(self._root)
        self._interventions = Interventions(self._root, self.commitment, aim, made)
        if self.finished:
            self.start, self.damaged, self.leaves = self.steps, list[str](), proof.final_leaves()
            return
        resumption = find_resumption(self._root, self.commitment, layout, self.steps)
        self._interventions.remove_unfinished()
        self._interventions.remember()
        self.start, self.damaged = max(0, resumption.start), resumption.damaged
        self.recorder = Recorder(self._root, schedule, layout, aim, resumption, self._report)
        stack.callback(self.recorder.close)
        self.leaves = self._first_leaves(resumption)
        self._progress.begin("training", self.steps, self.start)

    @property
    def state(self) -> PyTree:
        """Return the state to begin with, as the task's own pytree."""
        return self._structure.state(self.leaves)

    def task_state(self, proof: Proof) -> PyTree:
        """Return the final state of a finished proof, as the task's own pytree."""
        return self._structure.state(proof.final_leaves())

    def __iter__(self) -> Iterator[StepInput]:
        """Yield the inputs of the remaining steps."""
        for inputs in self._inputs(self.start + 1, self.steps + 1):
            self._begun = inputs.step
            yield inputs

    def run(self) -> None:
        """Run all remaining steps."""
        if not self.finished:
            run(self.program, self.leaves, self, self.follower)

    def step(self, state: PyTree, inputs: StepInput) -> tuple[PyTree, Mapping[str, jax.Array]]:
        """Run one step of the exported program on the task's own pytree; the memory of ``state`` is reused.

        Args:
            state: the state after the previous step.
            inputs: what iterating over this recording yields.
        """
        leaves = inputs.begin(self._structure.leaves(state))
        leaves, metrics = self.program.step(leaves, inputs.batch, inputs.key)
        self.follower.follow(inputs, leaves, metrics)
        return self._structure.state(leaves), dict(zip(self.program.signature.metrics, metrics, strict=True))

    def intervene(self, state: PyTree, leaves: Mapping[str, Any], reason: str) -> PyTree:
        """Return the state with new leaves, from which the next step starts: an intervention, which the claim names.

        Call it inside the loop, before `step`. A report names every intervention first: nothing shows where the new
        values come from. A change of the state without this call makes the run one that no replay reproduces.

        Args:
            state: the state before the step whose inputs the loop has yielded last.
            leaves: the new arrays, by their paths as JSON pointers, such as ``/optimizer/learning_rate``.
            reason: why, in at most 256 characters; verifiers read it.

        Raises:
            UsageError: there is no such leaf, an array has another shape or dtype, or a leaf is a PRNG key.
            DivergenceError: an interrupted run recorded another intervention after this step.
            StorageError: the leaves can't be written.
        """
        self.follower.wait()
        changed = self._interventions.add(self._begun - 1, leaves, reason)
        before = self._structure.leaves(state)
        return self._structure.state([changed.get(place, leaf) for place, leaf in enumerate(before)])

    def __enter__(self) -> Recording:
        """Return the recording itself."""
        if not self.finished:
            self._stack.callback(self._progress.end)
            self.follower = self._stack.enter_context(Follower(self.program, self.witness, self._observer()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the claim if all steps are done, and release the directory."""
        with self._stack:
            if kind is None and not self.finished:
                self.follower.wait()
                if len(self.recorder.digests) == self.steps + 1:  # row 0 and one for each step
                    with storing(self._root):
                        self._claim()

    def _observer(self) -> Observer:
        """Return what takes the rows of this run."""
        if self._self_check is None:
            return self.recorder
        schedule, executor = self.commitment.schedule, Executor(self.program, self.witness, self._inputs)
        checker = SelfChecker(self.recorder, executor, schedule, self.steps, self._self_check)
        checker.begin(self.start, self.witness.layout.gather([np.asarray(leaf) for leaf in self.leaves]))
        return checker

    def _inputs(self, start: int, stop: int) -> Iterator[StepInput]:
        return step_inputs(self.commitment, self._task.source, start, stop, self._interventions.changes)

    def _committed(self, steps: int | None) -> Commitment:
        if not (self._root / commitments.FILE).exists():
            steps = check_count("steps", self._task.steps if steps is None else steps)
            return write_commitment(self._root, self._task, self._choices, self._progress, steps)
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
        self._progress.at(row.step, row.loss)

    def _claim(self) -> None:
        """Write the claim and the inventory, and read everything back before reporting that the proof is finished."""
        assert self.recorder.last_state is not None  # noqa: S101  # the last row has a witness
        earlier = open_proof(self._root).claim  # it exists if the run was killed while it finished
        claim = Claim(
            format=self.commitment.format,
            commitment=self.commitment.digest().hex(),
            ledger_root=merkle.root(self.recorder.digests).hex(),
            steps=self.steps,
            final_state=self.recorder.last_state.hex(),
            environments=earlier.environments if earlier else (EnvironmentFrom(0, own_environment(self.commitment)),),
            interventions=self._interventions.made,
        )
        if earlier not in (None, claim):
            raise DivergenceError(f"{self._root}: the existing claim is not that of the ledger; start a new run")
        write_whole(self._root / claims.FILE, claim.encode())
        self.recorder.remove_journal()
        forget(self._root)
        limits = Limits(constant_bytes=self.program.constant_bytes)  # the program was checked when it was exported
        try:
            write_whole(self._root / inventory.FILE, take_inventory(self._root, limits, claim.format))
            check_files_to_states(self._root, limits)  # stages 1 to 6 of a verification, on what is on the disk
        except ProofError as error:
            (self._root / inventory.FILE).unlink(missing_ok=True)
            raise StorageError(f"what was written can't be read back: {error}") from error

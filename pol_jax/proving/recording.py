"""A prover trains with a proof: it commits, runs the loop with a recorder, and writes the claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Unpack

import jax

from pol_jax.errors import UsageError
from pol_jax.files import local_path, locked, storing
from pol_jax.protocol.rows import Row
from pol_jax.protocol.trees import PyTree
from pol_jax.proving.finishing import finish
from pol_jax.proving.preparation import begin, prepare
from pol_jax.proving.run_options import RunOptions, request_of
from pol_jax.proving.self_check import Executor, SelfChecker
from pol_jax.proving.signing import Pace, sign_finished
from pol_jax.proving.state_chain import StateChain
from pol_jax.proving.step_counter import StepCounter
from pol_jax.proving.trial import running
from pol_jax.storage.open_run import Preempted
from pol_jax.storage.orbax_settings import check_place
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.follower import Follower
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.loop import run
from pol_jax.training.processes import Processes, is_taken_away
from pol_jax.training.task import Task
from pol_jax.training.witness import Observer

_MEMORY_IS_REUSED: Final = (
    "pol_jax: recording.step reuses the memory of the state that it receives; what is needed afterwards must be copied"
    " before, by jax.tree.map(jnp.copy, state)"
)


class Recording:
    """A recording is a run that is being recorded; with it, a training loop of one's own makes a proof.

    Example:
        >>> with Recording(task, "proof", steps=1000) as recording:
        ...     state = recording.state
        ...     for inputs in recording:
        ...         state, metrics = recording.step(state, inputs)

    Leaving the ``with`` block after the last step writes the claim. Leaving it earlier, by a crash or a ``break``,
    keeps the run open, and the same code continues it; after a ``break``, a warning says so.

    Every step must receive the state that the step before it returned. A state that was changed in between is refused
    before the step runs, because no verifier could repeat the change.

    Attributes:
        program: the exported program that runs.
        leaves: the state to begin with, as plain arrays.
        steps: number of steps, T.
        start: the last step that is done already.
        damaged: checkpoints that were skipped when the run was continued, one line each.
        finished: whether the proof is finished already.
    """

    def __init__(self, task: Task, out: Path | str, **options: Unpack[RunOptions]) -> None:
        """Commit, or find what an interrupted run left.

        Where several processes train, each of them makes a recording with the same arguments, on a shared directory.

        Args:
            task: what to train.
            out: the proof's directory, which is made if it does not exist.
            options: what else may be asked of a run, such as ``steps`` or ``key``: see `RunOptions`.

        Raises:
            UsageError: the directory has other files than a proof's, or the choices contradict the run in it.
            DivergenceError: what is recorded differs from the ledger of the interrupted run.
            StorageError: the directory can't be written.
            ProcessError: another process has failed, or has not reported in time.
        """
        if not isinstance(task, Task):
            raise UsageError(f"expected a pol_jax.Task, got {type(task).__name__}")
        self._root, self._task, self._asked = local_path(out), task, request_of(**options)
        self._pace, self._stack = Pace(), ExitStack()
        self.follower: Follower | None = None
        self._entered, self._kept = False, 0
        check_place(self._root)
        self._processes = Processes(self._asked.timeout)
        if self._asked.self_check is not None and self._processes.count > 1:
            raise UsageError("self_check: one process alone can execute a segment again; leave it out")
        with ExitStack() as opening, self._failing_together():
            if self._processes.is_first:
                opening.enter_context(locked(self._root))
            opening.enter_context(jax.transfer_guard("allow"))  # whatever the caller forbids their own code
            with storing(self._root):
                self._open(opening)
            self._stack = opening.pop_all()

    @contextmanager
    def _failing_together(self) -> Iterator[None]:
        """Let the other processes know if this one fails: they would wait for it until the timeout."""
        try:
            yield
        except BaseException as error:
            self._processes.fail(error)
            raise

    def _open(self, stack: ExitStack) -> None:
        prepared = prepare(self._root, self._task, self._asked, self._processes)
        self.commitment, self.finished, self.steps = prepared.commitment, prepared.finished, prepared.aim.steps
        self.program, self.witness = prepared.program, prepared.witness
        self._structure, self._interventions = prepared.structure, prepared.interventions
        if self.finished:
            proof = open_proof(self._root)
            if self._asked.key and self._processes.is_first:
                sign_finished(proof, self._asked.key, None)
            self.start, self.damaged, self.leaves = self.steps, list[str](), proof.final_leaves()
        else:
            found = begin(prepared, self._asked, self._processes, self._report, stack)
            self.start, self.damaged, self.leaves = found.start, found.damaged, found.leaves
            self.recorder = found.recorder
        self._state = self._structure.state(self.leaves)
        self._counter = StepCounter(self.start, self.steps)
        self._chain = StateChain(self._structure, self.start, self._state)

    @property
    def state(self) -> PyTree:
        """Return the state to begin with, as the task's own pytree."""
        return self._state

    def task_state(self, proof: Proof) -> PyTree:
        """Return the final state of a finished proof, as the task's own pytree."""
        return self._structure.state(proof.final_leaves())

    def __iter__(self) -> Iterator[StepInput]:
        """Return the inputs of the remaining steps, in order; each of them is for one call of `step`."""
        self._check_open()
        if self._counter.last < self.steps:
            self._asked.progress.begin("training", self.steps, self._counter.last)
        return self._remaining()

    def _remaining(self) -> Iterator[StepInput]:
        for each in self._inputs(self._counter.last + 1, self.steps + 1):
            yield each
            # Between two steps, where all processes ask, so that they stop after the same one.
            if each.step < self.steps and is_taken_away(each.step):
                self._keep(each.step)
                return
        self._counter.exhausted = True

    def _keep(self, step: int) -> None:
        """Write a checkpoint after ``step``, the last one that was run, because this machine is about to go."""
        assert self.follower is not None  # noqa: S101  # a step was run
        self.follower.wait()
        self._kept = step
        with jax.transfer_guard("allow"), storing(self._root):
            state = self.witness.layout.copy_of(self.follower.last)
            digest = self.witness.digest(step, state)
            self.recorder.keep(step, state)
            if digest is not None and self._processes.is_first:
                self._interventions.remember(Preempted(step, digest.hex()))

    def run(self) -> None:
        """Run all remaining steps.

        Raises:
            TaskError: a step can't run.
        """
        follower = self._check_open()
        if self._counter.last != self.start:
            raise UsageError(
                f"run: step {self._counter.last} was run by a loop of your own; let the loop go on to the end"
            )
        if not self.finished and follower:
            with running("a step"):
                run(self.program, self.leaves, self, follower)
            self._counter.last = self._kept or self.steps

    def step(self, state: PyTree, inputs: StepInput) -> tuple[PyTree, Mapping[str, jax.Array]]:
        """Run one step of the exported program on the task's own pytree; the memory of ``state`` is reused.

        Args:
            state: the state after the previous step, as this function returned it.
            inputs: what iterating over this recording yields.

        Raises:
            UsageError: the state is another one, a step was skipped or run twice, or the recording is not open.
            TaskError: the step can't run.
        """
        follower = self._check_open()
        self._counter.check_next(inputs.step)
        assert follower is not None  # noqa: S101  # a finished run has no next step
        self._chain.check(state)
        with running(f"step {inputs.step}"), follower.within(inputs.step):
            # The program works on plain lists of arrays; the task's own classes never reach it (section 9).
            begun = inputs.begin(self._structure.leaves(state))
            leaves, metrics = self.program.step(begun, self.program.feed(inputs.batch), inputs.key)
            follower.follow(inputs, leaves, metrics)
        new, self._counter.last = self._structure.state(leaves), inputs.step
        self._chain.extend(inputs.step, new)
        return new, dict(zip(self.program.signature.metrics, metrics, strict=True))

    def intervene(self, state: PyTree, leaves: Mapping[str, Any], reason: str) -> PyTree:
        """Return the state with new leaves, from which the next step starts: an intervention, which the claim names.

        Call it inside the loop, before `step`. A report names every intervention first: nothing shows where the new
        values come from. A change of the state without this call is refused by the next step.

        Args:
            state: the state that the last step returned.
            leaves: the new arrays, by their paths as JSON pointers, such as ``/optimizer/learning_rate``.
            reason: why, in at most 256 characters; verifiers read it.

        Raises:
            UsageError: there is no such leaf, an array has another shape or dtype, or a leaf is a PRNG key.
            DivergenceError: an interrupted run recorded another intervention after this step.
            StorageError: the leaves can't be written.
        """
        if (follower := self._check_open()) is None:
            raise UsageError("intervention: the run is finished")
        if self._processes.count > 1:
            raise UsageError("intervention: several processes train; only one can change a state from outside")
        self._chain.check(state)
        follower.wait()
        changed = self._interventions.add(self._counter.last, leaves, reason)
        before = self._structure.leaves(state)
        # The chain goes on with the changed state, so the next step may receive this state and no other.
        new = self._structure.state([changed.get(place, leaf) for place, leaf in enumerate(before)])
        self._chain.extend(self._counter.last, new)
        return new

    def __enter__(self) -> Recording:
        """Return the recording itself."""
        self._entered = True
        if not self.finished:
            self._stack.callback(self._asked.progress.end)
            self.follower = self._stack.enter_context(
                Follower(self.program, self.witness, self._observer(), self._asked.on_step)
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the claim if all steps are done, and release the directory.

        Raises:
            UsageError: the loop went over all inputs without running their steps.
        """
        follower, self.follower, self._entered = self.follower, None, False
        if error is not None:
            self._processes.fail(error)
        with self._stack, self._failing_together():
            # jax says only that an array has been deleted, which tells a user nothing about donated memory.
            if isinstance(error, RuntimeError) and "deleted" in str(error):
                error.add_note(_MEMORY_IS_REUSED)
            if kind is None and follower:
                follower.wait()
                # The rows decide whether a run is finished, and not what the loop believes to have done.
                if len(self.recorder.digests) == self.steps + 1:  # row 0 and one for each step
                    self._processes.first("the claim", self._finish)
                else:
                    self._counter.left_early(self._root)

    def _finish(self) -> None:
        with storing(self._root):
            made = self._interventions.made
            finish(self._root, self.commitment, self.recorder, self.program.constant_bytes, made)
            if self._asked.key:
                sign_finished(open_proof(self._root), self._asked.key, self._pace.seconds_per_step(self.steps))

    def _check_open(self) -> Follower | None:
        """Return the follower, which a finished run has none of.

        Raises:
            UsageError: this is not inside the ``with`` block.
        """
        if not self._entered:
            raise UsageError(
                "the recording is not open: use it inside its block, with pol_jax.Recording(...) as recording: ..."
            )
        return self.follower

    def _observer(self) -> Observer:
        """Return what takes the rows of this run."""
        if self._asked.self_check is None:
            return self.recorder
        schedule, executor = self.commitment.schedule, Executor(self.program, self.witness, self._inputs)
        checker = SelfChecker(self.recorder, executor, schedule, self.steps, self._asked.self_check)
        # A copy: the first step takes over the memory of these leaves.
        checker.begin(self.start, self.witness.layout.copy_of(self.leaves))
        return checker

    def _inputs(self, start: int, stop: int) -> Iterator[StepInput]:
        changes = self._interventions.changes
        return step_inputs(self.commitment, self._task.source, start, stop, changes, self.program.rows)

    def _report(self, row: Row) -> None:
        self._pace.see(row.step)
        self._asked.progress.at(row.step, row.loss)

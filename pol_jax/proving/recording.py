"""A prover trains with a proof: it commits, runs the loop with a recorder, and writes the claim."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import jax
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.errors import UsageError
from pol_jax.files import local_path, locked, storing
from pol_jax.program.artifact import Leaves, Program, Signature
from pol_jax.progress import Progress, Silent
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory
from pol_jax.protocol.rows import Row
from pol_jax.protocol.trees import PyTree, uncut
from pol_jax.proving.commit import PRNG, Choices, check_choices, write_commitment
from pol_jax.proving.fine_tuning import taken_leaves
from pol_jax.proving.finishing import finish
from pol_jax.proving.interventions import Interventions
from pol_jax.proving.open_run import Aim, agree_on_aim, check_aim, check_count, go_on, past_interventions
from pol_jax.proving.recorder import Recorder
from pol_jax.proving.resumption import Resumption, check_same_program, find_resumption
from pol_jax.proving.self_check import Executor, SelfChecker
from pol_jax.proving.sharding import (
    SEVERAL_PROCESSES,
    Shardings,
    agree_on_placement,
    check_devices,
    committed_mesh,
    place_on,
)
from pol_jax.proving.signing import Pace, choices_of, sign_commitment, sign_finished
from pol_jax.proving.state_chain import StateChain
from pol_jax.proving.trial import running
from pol_jax.storage.open_run import Preempted
from pol_jax.storage.orbax_settings import check_place
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.export import structure_of
from pol_jax.training.follower import Follower, OnStep
from pol_jax.training.initial_state import first_key
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.loop import run
from pol_jax.training.processes import TIMEOUT, Processes, is_taken_away
from pol_jax.training.shards import layout_of
from pol_jax.training.states import Layout
from pol_jax.training.task import Task
from pol_jax.training.witness import Observer, Witness

_MEMORY_IS_REUSED: Final = (
    "pol_jax: recording.step reuses the memory of the state that it receives; what is needed afterwards must be copied"
    " before, by jax.tree.map(jnp.copy, state)"
)


def train(
    task: Task,
    out: Path | str,
    *,
    steps: int | None = None,
    keep_every: int | None = None,
    choices: Choices | None = None,
    progress: Progress | None = None,
    on_step: OnStep | None = None,
    self_check: int | None = None,
    mesh: jax.sharding.Mesh | None = None,
    shardings: Shardings | None = None,
    timeout: float = TIMEOUT,
    key: Ed25519PrivateKey | None = None,
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
        on_step: ``on_step(step, metrics)`` receives all metrics of each step as numbers, in order, for logging of
            one's own. It is called from another thread, soon after the step has run; if it raises, the run ends.
        self_check: one segment of so many, chosen by chance, is executed a second time when it ends, so that silent
            data corruption is found. None for no segment.
        mesh: the devices that train, of all processes; None for one device.
        shardings: how the state and the batch are cut among them: ``(those of the state, that of the batch)``, as
            ``jax.jit`` takes them. An interrupted run needs neither: it goes on as it was committed to.
        timeout: seconds after which a process that has not reported a step is given up, if there are several.
        key: the prover's private key (`pol_jax.read_private_key`). Its public half enters the commitment, and so every
            seed; it signs the commitment before step 0 and the claim in the end, in the directory's ``attestations``.

    Returns:
        The proof; it is not finished if this machine is about to be taken away, and the same call then continues it.

    Raises:
        UsageError: the directory has other files than a proof's, or the choices contradict the run in it.
        DivergenceError: a recomputed step differs from the ledger, or gives another result the second time.
        StorageError: the directory can't be written.
        ProcessError: another process has failed, or has not reported a step.
    """
    with Recording(
        task,
        out,
        steps=steps,
        keep_every=keep_every,
        choices=choices,
        progress=progress,
        on_step=on_step,
        self_check=self_check,
        mesh=mesh,
        shardings=shardings,
        timeout=timeout,
        key=key,
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

    def __init__(
        self,
        task: Task,
        out: Path | str,
        *,
        steps: int | None = None,
        keep_every: int | None = None,
        choices: Choices | None = None,
        progress: Progress | None = None,
        on_step: OnStep | None = None,
        self_check: int | None = None,
        mesh: jax.sharding.Mesh | None = None,
        shardings: Shardings | None = None,
        timeout: float = TIMEOUT,
        key: Ed25519PrivateKey | None = None,
    ) -> None:
        """Commit, or find what an interrupted run left; arguments and errors are those of `train`.

        Where several processes train, each of them makes a recording with the same arguments, on a shared directory.
        """
        if not isinstance(task, Task):
            raise UsageError(f"expected a pol_jax.Task, got {type(task).__name__}")
        self._root, self._task = local_path(out), task
        self._progress: Progress = progress or Silent()
        self._choices, self._on_step = choices_of(choices or Choices(), key), on_step
        self._key, self._pace = key, Pace()
        self._self_check = None if self_check is None else check_count("self_check", self_check)
        self._stack = ExitStack()
        self.follower: Follower | None = None
        self._entered, self._kept = False, 0
        check_place(self._root)
        check_aim(steps, keep_every)
        check_devices(mesh, shardings)
        self._mesh, self._shardings, self._processes = mesh, shardings, Processes(timeout)
        if self._self_check is not None and self._processes.count > 1:
            raise UsageError("self_check: one process alone can execute a segment again; leave it out")
        with ExitStack() as opening, self._telling():
            if self._processes.is_first:
                opening.enter_context(locked(self._root))
            opening.enter_context(jax.transfer_guard("allow"))  # whatever the caller forbids their own code
            with storing(self._root):
                self._open(steps, keep_every, opening)
            self._stack = opening.pop_all()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Let the other processes know if this one fails."""
        try:
            yield
        except BaseException as error:
            self._processes.fail(error)
            raise

    def _open(self, steps: int | None, keep_every: int | None, stack: ExitStack) -> None:
        program = self._processes.first("the commitment", lambda: self._commit(steps))
        self.commitment = open_proof(self._root).commitment
        if not self._processes.is_first:
            check_choices(self.commitment, self._task, self._choices)
        self.finished = (self._root / inventory.FILE).exists()
        aim = agree_on_aim(self._root, steps, keep_every)
        self.steps = aim.steps
        signature = Signature.from_commitment(self.commitment)
        self._structure = structure_of(self._task, signature.prng)
        if self._structure.spec != uncut(signature.state):
            raise UsageError(
                f"{self._root}: the task's state is not the committed one; use the task with which the run began"
            )
        proof = open_proof(self._root)
        if program is None and not self.finished:
            check_same_program(proof, self._task, self.steps)
        self.program = program or proof.program()
        schedule = self.commitment.schedule
        placement = agree_on_placement(self.commitment, self._structure, self._mesh, self._shardings)
        if placement is not None and not self.finished:
            self.program = self.program if program else self.program.on(placement)
        layout = layout_of(self.program)
        self.witness = Witness(
            layout,
            CommittedRecords(proof.records(), self._choices.secret, self.commitment.format),
            lambda step: schedule.has_witness(step, self.steps),
            self.commitment.row_layout,
            lambda step: schedule.has_checkpoint(step, self.steps),
            self._processes,
        )
        made = proof.claim.interventions if proof.claim else past_interventions(self._root)
        self._interventions = Interventions(self._root, self.commitment, aim, made)
        if self.finished:
            if self._key and self._processes.is_first:
                sign_finished(proof, self._key, None)
            self.start, self.damaged, self.leaves = self.steps, list[str](), proof.final_leaves()
        else:
            self._continue(aim, layout, stack)
        self._last, self._exhausted, self._state = self.start, False, self._structure.state(self.leaves)
        self._chain = StateChain(self._structure, self.start, self._state)

    def _continue(self, aim: Aim, layout: Layout, stack: ExitStack) -> None:
        """Find where the run continues, and open the files that it writes to."""
        schedule = self.commitment.schedule
        writes = self._processes.is_first
        resumption = find_resumption(self._root, self.commitment, layout, self.steps, self._processes)
        if writes:
            go_on(self._root, aim, self.commitment, resumption.start)
            self._interventions.remove_unfinished()
            self._interventions.remember()
        self.start, self.damaged = max(0, resumption.start), resumption.damaged
        self.recorder = Recorder(self._root, schedule, layout, aim, resumption, self._report, writes=writes)
        stack.callback(self.recorder.close)
        self.leaves = self._first_leaves(resumption)

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
        if self._last < self.steps:
            self._progress.begin("training", self.steps, self._last)
        return self._remaining()

    def _remaining(self) -> Iterator[StepInput]:
        for each in self._inputs(self._last + 1, self.steps + 1):
            yield each
            if each.step < self.steps and is_taken_away(each.step):
                self._keep(each.step)
                return
        self._exhausted = True

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
        if self._last != self.start:
            raise UsageError(f"run: step {self._last} was run by a loop of your own; let the loop go on to the end")
        if not self.finished and follower:
            with running("a step"):
                run(self.program, self.leaves, self, follower)
            self._last = self._kept or self.steps

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
        if inputs.step != self._last + 1 or follower is None:
            raise UsageError(self._out_of_order(inputs.step))
        self._chain.check(state)
        with running(f"step {inputs.step}"), follower.within(inputs.step):
            begun = inputs.begin(self._structure.leaves(state))
            leaves, metrics = self.program.step(begun, self.program.feed(inputs.batch), inputs.key)
            follower.follow(inputs, leaves, metrics)
        new, self._last = self._structure.state(leaves), inputs.step
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
        changed = self._interventions.add(self._last, leaves, reason)
        before = self._structure.leaves(state)
        new = self._structure.state([changed.get(place, leaf) for place, leaf in enumerate(before)])
        self._chain.extend(self._last, new)
        return new

    def __enter__(self) -> Recording:
        """Return the recording itself."""
        self._entered = True
        if not self.finished:
            self._stack.callback(self._progress.end)
            self.follower = self._stack.enter_context(
                Follower(self.program, self.witness, self._observer(), self._on_step)
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
        with self._stack, self._telling():
            if isinstance(error, RuntimeError) and "deleted" in str(error):
                error.add_note(_MEMORY_IS_REUSED)
            if kind is None and follower:
                follower.wait()
                if len(self.recorder.digests) == self.steps + 1:  # row 0 and one for each step
                    self._processes.first("the claim", self._finish)
                else:
                    self._left_early()

    def _finish(self) -> None:
        with storing(self._root):
            made = self._interventions.made
            finish(self._root, self.commitment, self.recorder, self.program.constant_bytes, made)
            if self._key:
                sign_finished(open_proof(self._root), self._key, self._pace.seconds_per_step(self.steps))

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

    def _out_of_order(self, step: int) -> str:
        """Return why ``step`` can't be the next one."""
        if step <= self._last:
            return f"step {step}: was run already; the next one is {self._last + 1}, of {self.steps}"
        return (
            f"step {step}: step {self._last + 1} was not run; each step that is yielded must be run, in order, by"
            " recording.step"
        )

    def _left_early(self) -> None:
        """Say that the run is not finished.

        Raises:
            UsageError: the loop has gone over all inputs, and run no step.
        """
        if self._exhausted and self._last == self.start:
            raise UsageError(
                f"{self._root}: the loop ended, but none of the {self.steps - self.start} steps was run by"
                " recording.step; call it for each of the inputs"
            )
        if self._last > self.start:
            warnings.warn(
                f"{self._root}: the run stays open after step {self._last} of {self.steps}; the same code continues it",
                stacklevel=3,
            )

    def _observer(self) -> Observer:
        """Return what takes the rows of this run."""
        if self._self_check is None:
            return self.recorder
        schedule, executor = self.commitment.schedule, Executor(self.program, self.witness, self._inputs)
        checker = SelfChecker(self.recorder, executor, schedule, self.steps, self._self_check)
        # A copy: the first step takes over the memory of these leaves.
        checker.begin(self.start, self.witness.layout.copy_of(self.leaves))
        return checker

    def _inputs(self, start: int, stop: int) -> Iterator[StepInput]:
        changes = self._interventions.changes
        return step_inputs(self.commitment, self._task.source, start, stop, changes, self.program.rows)

    def _commit(self, steps: int | None) -> Program | None:
        """Commit, unless an interrupted run has; return the program, if it was loaded to commit to it."""
        sign = partial(sign_commitment, self._root, key=self._key) if self._key else None
        if (self._root / commitments.FILE).exists():
            commitment = open_proof(self._root).commitment
            check_choices(commitment, self._task, self._choices)
            if sign:
                sign(commitment.encode())
            return None
        cut, placement = None, None
        if self._mesh is not None and self._shardings is not None:
            structure = structure_of(self._task, self._choices.prng or PRNG)
            cut = committed_mesh(self._mesh, self._shardings, structure, self._task.batch_size)
            placement = place_on(cut, self._mesh)
        elif self._processes.count > 1:
            raise UsageError(SEVERAL_PROCESSES)
        steps = self._task.steps if steps is None else steps
        return write_commitment(self._root, self._task, self._choices, self._progress, steps, cut, placement, sign)[1]

    def _first_leaves(self, resumption: Resumption) -> Leaves:
        if resumption.state is not None:
            return self.program.put(resumption.state)
        given = taken_leaves(self.commitment, self._choices.start)
        leaves = self.program.start(first_key(self.commitment), given)
        state = self.witness.layout.copy_of(leaves)
        self.recorder(self.witness.initial(first_key(self.commitment), state), state)
        return leaves

    def _report(self, row: Row) -> None:
        self._pace.see(row.step)
        self._progress.at(row.step, row.loss)

"""Before the first step, a run commits, or finds what an interrupted one left, and opens the files it writes to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax

from pol_jax.errors import UsageError
from pol_jax.program.artifact import Leaves, Program
from pol_jax.program.placement import axes_alone, axes_of
from pol_jax.program.signature import Signature
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.rows import Row
from pol_jax.protocol.trees import uncut
from pol_jax.proving.aim import Aim, agree_on_aim, go_on, past_interventions
from pol_jax.proving.choices import PRNG
from pol_jax.proving.commit import Division, check_choices, write_commitment
from pol_jax.proving.fine_tuning import taken_leaves
from pol_jax.proving.interventions import Interventions
from pol_jax.proving.recorder import Recorder
from pol_jax.proving.resumption import Resumption, check_same_program, find_resumption
from pol_jax.proving.run_options import RunRequest
from pol_jax.proving.sharding import SEVERAL_PROCESSES, agree_on_placement, committed_mesh, place_on
from pol_jax.proving.signing import sign_commitment
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.export import Structure, structure_of
from pol_jax.training.freed_memory import give_memory_back
from pol_jax.training.initial_state import first_key
from pol_jax.training.processes import Processes
from pol_jax.training.shards import layout_of
from pol_jax.training.task import Task
from pol_jax.training.witness import Witness


@dataclass(frozen=True)
class PreparedRun:
    """A prepared run is committed to, and has everything that its steps need except the state to begin with.

    Attributes:
        root: the proof's directory.
        commitment: what the run is committed to.
        aim: the number of steps, and which checkpoints are kept.
        finished: whether all steps are done and claimed already.
        program: the exported program, on the devices of the run.
        structure: of the task's own state.
        witness: makes the rows.
        interventions: those so far.
    """

    root: Path
    commitment: Commitment
    aim: Aim
    finished: bool
    program: Program
    structure: Structure
    witness: Witness
    interventions: Interventions


@dataclass(frozen=True)
class StartingPoint:
    """A starting point is where an open run begins or continues.

    Attributes:
        start: the last step that is done already.
        leaves: the state after that step.
        damaged: checkpoints that were skipped to get there, one line each.
        recorder: what writes the rows and checkpoints from there on.
    """

    start: int
    leaves: Leaves
    damaged: list[str]
    recorder: Recorder


def prepare(root: Path, task: Task, asked: RunRequest, processes: Processes) -> PreparedRun:
    """Commit to a new run in ``root``, or find the commitment of the run there.

    Raises:
        UsageError: the directory has other files than a proof's, or what is asked for contradicts the run in it.
    """
    program = processes.first("the commitment", lambda: _commit(root, task, asked, processes))
    proof = open_proof(root)
    commitment = proof.commitment
    # The first process has checked its choices when it committed; the others must have been started with the same.
    if not processes.is_first:
        check_choices(commitment, task, asked.choices)
    # The inventory is written last, so a directory that has one is a whole proof (section 11).
    finished = (root / inventory.FILE).exists()
    aim = agree_on_aim(root, asked.steps, asked.keep_every)
    structure = _structure(root, task, commitment)
    # A run that goes on with other code would have rows from two programs; the committed one is what verifiers run.
    if program is None and not finished:
        check_same_program(proof, task, aim.steps)
    program = _placed(program, proof, structure, asked, finished=finished)
    made = proof.claim.interventions if proof.claim else past_interventions(root)
    return PreparedRun(
        root=root,
        commitment=commitment,
        aim=aim,
        finished=finished,
        program=program,
        structure=structure,
        witness=_witness(program, proof, aim, asked.choices.secret, processes),
        interventions=Interventions(root, commitment, aim, made),
    )


def begin(
    run: PreparedRun, asked: RunRequest, processes: Processes, on_row: Callable[[Row], None], stack: ExitStack
) -> StartingPoint:
    """Find where an open run continues, and open the files that it writes to; ``stack`` closes them.

    Args:
        run: the run, which is not finished.
        asked: what the caller asks for.
        processes: those that train.
        on_row: called with every row when it is recorded.
        stack: is left when the run is.
    """
    root, layout = run.root, run.witness.layout
    found = find_resumption(root, run.commitment, layout, run.aim.steps, processes)
    # One process writes what all of them share; the others read it after they have agreed on the step.
    if processes.is_first:
        go_on(root, run.aim, run.commitment, found.start)
        run.interventions.remove_unfinished()
        run.interventions.remember()
    schedule = run.commitment.schedule
    recorder = Recorder(root, schedule, layout, run.aim, found, on_row, writes=processes.is_first)
    stack.callback(recorder.close)
    return StartingPoint(
        start=max(0, found.start),
        leaves=_first_leaves(run, found, recorder, asked),
        damaged=found.damaged,
        recorder=recorder,
    )


def _commit(root: Path, task: Task, asked: RunRequest, processes: Processes) -> Program | None:
    """Commit, unless an interrupted run has; return the program, if it was loaded to commit to it."""
    sign = partial(sign_commitment, root, key=asked.key) if asked.key else None
    if (root / commitments.FILE).exists():
        commitment = open_proof(root).commitment
        check_choices(commitment, task, asked.choices)
        if sign:
            sign(commitment.encode())
        return None
    # The mesh is part of the commitment: its sums over devices decide bits (section 2.1).
    division = None
    if asked.mesh is not None and asked.shardings is not None:
        structure = structure_of(task, asked.choices.prng or PRNG, axes_alone(asked.mesh))
        cut = committed_mesh(asked.mesh, asked.shardings, structure, task.batch_size)
        division = Division(cut, place_on(cut, asked.mesh))
    elif processes.count > 1:
        raise UsageError(SEVERAL_PROCESSES)
    steps = task.steps if asked.steps is None else asked.steps
    return write_commitment(root, task, asked.choices, asked.progress, steps, division, sign)[1]


def _structure(root: Path, task: Task, commitment: Commitment) -> Structure:
    """Return the structure of the task's state, if its leaves are the committed ones."""
    signature = Signature.from_commitment(commitment)
    structure = structure_of(task, signature.prng, None if commitment.mesh is None else axes_of(commitment.mesh))
    # Without the pieces, which come from the mesh and not from the task.
    if structure.spec != uncut(signature.state):
        raise UsageError(f"{root}: the task's state is not the committed one; use the task with which the run began")
    return structure


def _placed(
    program: Program | None, proof: Proof, structure: Structure, asked: RunRequest, *, finished: bool
) -> Program:
    """Return the program of a run on its devices; one that was loaded to commit to it is there already."""
    placement = agree_on_placement(proof.commitment, structure, asked.mesh, asked.shardings)
    if program is not None:
        return program
    loaded = proof.program()
    return loaded if placement is None or finished else loaded.on(placement)


def _witness(program: Program, proof: Proof, aim: Aim, secret: bytes | None, processes: Processes) -> Witness:
    commitment = proof.commitment
    schedule = commitment.schedule
    return Witness(
        layout_of(program),
        CommittedRecords(proof.records(), secret, commitment.format),
        lambda step: schedule.has_witness(step, aim.steps),
        commitment.row_layout,
        lambda step: schedule.has_checkpoint(step, aim.steps),
        processes,
    )


def _first_leaves(run: PreparedRun, found: Resumption, recorder: Recorder, asked: RunRequest) -> Leaves:
    """Return the state to begin with; the initial state of a new run is recorded in row 0."""
    if found.state is not None:
        return run.program.put(found.state)
    given = taken_leaves(run.commitment, asked.choices.start)
    leaves, layout = run.program.start(first_key(run.commitment), given), run.witness.layout
    jax.block_until_ready(leaves)
    give_memory_back(layout.nbytes)  # what init took beside its results
    # A copy: the first step takes over the memory of these leaves, while the recorder may still write them.
    state = layout.copy_of(leaves)
    recorder(run.witness.initial(first_key(run.commitment), state), state)
    del state
    give_memory_back(layout.nbytes)
    return leaves

"""Before step 0 the prover commits: it exports the program, digests the records, fixes the schedule, and writes all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from msgspec import structs

from pol_jax.attesting import folder
from pol_jax.errors import ProofError, TaskError, UsageError
from pol_jax.exact import ARITHMETIC
from pol_jax.files import write_whole
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, Program, artifact_digests
from pol_jax.program.placement import Placement
from pol_jax.program.signature import Signature
from pol_jax.progress import Progress
from pol_jax.protocol import merkle
from pol_jax.protocol.commitment import (
    FILE,
    Commitment,
    DataCommitment,
    Description,
    ProgramCommitment,
    Schedule,
)
from pol_jax.protocol.encoding import FORMAT, Digest
from pol_jax.protocol.initial import Initial, OwnKey
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.mesh import Mesh
from pol_jax.protocol.trees import RecordSpec
from pol_jax.proving.choices import PRNG, Choices, check_secret
from pol_jax.proving.fine_tuning import choose_leaves, taken_leaves
from pol_jax.proving.trial import running, trial_inputs, try_program
from pol_jax.proving.witness_interval import measure, smallest_interval
from pol_jax.storage.proof import RECORDS_FILE
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.records import digest_source
from pol_jax.training.sources import number_of_records
from pol_jax.training.task import Task

_WITNESS_BYTES: Final = 2**26
"""Where several devices train, each of them digests about this many bytes a step."""


@dataclass(frozen=True)
class Division:
    """A division says how a run is divided among devices.

    Attributes:
        mesh: how the state and the batch are cut, as it is committed to.
        placement: on which devices the pieces lie; None where the program is tried uncut, on one device.
    """

    mesh: Mesh
    placement: Placement | None


def write_commitment(
    root: Path,
    task: Task,
    choices: Choices,
    progress: Progress,
    steps: int | None = None,
    division: Division | None = None,
    sign: Callable[[bytes], None] | None = None,
) -> tuple[Commitment, Program]:
    """Commit to a task in the directory ``root``; the file of the commitment is written last.

    Args:
        root: the proof's directory, which exists.
        task: what is trained.
        choices: what the prover decides beside it.
        progress: told of the records that are digested.
        steps: the number of steps that the run commits to; None for the task's.
        division: among devices; None for one device.
        sign: called with the document's bytes before they are written; None if nobody signs.

    Returns:
        The commitment, and its program, ready to run.

    Raises:
        UsageError: ``root`` has other files than a proof's, a choice is out of bounds, or nothing can be taken over.
        TaskError: the task breaks its contract, or its program can't run.
    """
    _refuse_foreign(root)
    # From tracing alone: nothing is executed, and no record is read, before the program is known to be exportable.
    mesh, placement = (division.mesh, division.placement) if division else (None, None)
    signature = signature_of(task, choices.prng or PRNG, mesh)
    if mesh:
        signature = replace(signature, state=mesh.cut(signature.state))
    limits = Limits() if choices.constant_bytes is None else Limits(constant_bytes=choices.constant_bytes)
    artifacts = export_task(task, signature, limits)
    # Before anything is written: a program that fails at its first step leaves no directory.
    program = try_program(artifacts, signature, task.source, placement)
    choices = _with_witness_interval(choices, task, program, mesh)
    initial = choose_leaves(choices.start, signature.state)[0] if choices.start else OwnKey()
    # The longest part comes last, after everything that can refuse the task.
    digests = _digest_records(task, signature.record, choices.secret, progress)
    committed = ProgramCommitment(*artifact_digests(artifacts), metrics=signature.metrics, loss=signature.loss)
    data = DataCommitment(merkle.root(digests).hex(), len(digests), signature.record, choices.secret is not None)
    commitment = commitment_of(task, steps or task.steps, choices, signature, committed, data, initial)
    commitment = structs.replace(commitment, mesh=mesh) if mesh else commitment
    _write_files(root, artifacts, digests, _readable(commitment), sign)
    return commitment, program


def check_choices(commitment: Commitment, task: Task, choices: Choices) -> None:
    """Check that the task and the choices agree with the commitment of a run that is continued.

    Raises:
        UsageError: they do not; the text names the choice.
    """
    schedule = commitment.schedule
    pairs = {
        "task": (task.name, commitment.task.name),
        "arithmetic": (task.arithmetic and ARITHMETIC, commitment.arithmetic),
        "batch size": (task.batch_size, schedule.batch_size),
        "interval": (choices.interval, schedule.interval),
        "witness interval": (choices.witness_interval, schedule.witness_interval),
        "prng": (choices.prng, schedule.prng),
        "seed": (choices.seed, commitment.nonce),
        "key": (choices.prover, commitment.prover),
        "beacon": (choices.beacon, commitment.beacon),
    }
    for name, (asked, committed) in pairs.items():
        # What the caller leaves open is what the run is committed to.
        if asked is not None and asked != committed:
            raise UsageError(f"{name} {asked}: this run is committed to {committed}; leave it out, or start a new run")
    # The leaves that are taken over are part of the commitment, so another start would be another run.
    if choices.start:
        taken_leaves(commitment, choices.start)
    check_secret(choices.secret, commitment.data)


def commitment_of(
    task: Task,
    steps: int,
    choices: Choices,
    signature: Signature,
    program: ProgramCommitment,
    data: DataCommitment,
    initial: Initial,
) -> Commitment:
    """Return what a prover commits to who makes these choices about a task, and trains it on one device.

    Nothing is read, exported or written.

    Args:
        task: what is trained.
        steps: the number of steps.
        choices: the prover's.
        signature: of the task's programs.
        program: the digests of the programs.
        data: the digests of the records.
        initial: what the initial state takes over.
    """
    return Commitment(
        format=FORMAT,
        program=program,
        state=signature.state,
        data=data,
        schedule=Schedule(
            batch_size=task.batch_size,
            interval=choices.interval or task.interval,
            witness_interval=choices.witness_interval or 1,
            order="feistel-splitmix64-8",
            prng=choices.prng or PRNG,
            steps=steps,
            may_stop_early=choices.may_stop_early,
        ),
        initial=initial,
        prover=choices.prover,
        nonce="0" if choices.seed is None else choices.seed,
        beacon=choices.beacon,
        task=Description(name=task.name, hyperparameters=dict(task.hyperparameters)),
        arithmetic=ARITHMETIC if task.arithmetic == "exact" else None,
        mesh=None,
    )


def _with_witness_interval(choices: Choices, task: Task, program: Program, mesh: Mesh | None) -> Choices:
    """Choose the witness interval by what a digest costs here, unless the prover has chosen it.

    On several devices, it is the number of bytes that each of them has that decides.
    """
    if choices.witness_interval:
        return choices
    if mesh:
        every = -(-mesh.device_bytes(program.signature.state) // _WITNESS_BYTES)
        return replace(choices, witness_interval=max(1, min(every, choices.interval or task.interval)))
    with running("the first steps"):
        costs = measure(program, *trial_inputs(program.signature, task.source))
    return replace(choices, witness_interval=smallest_interval(costs, choices.interval or task.interval))


def _readable(commitment: Commitment) -> bytes:
    """Return the bytes of the document, after checking that a verifier can read it."""
    try:
        content = commitment.encode()
        # What a verifier would refuse is refused here, by the same function, and not after the training.
        Commitment.parse(content)
    except (ValueError, TypeError) as error:
        raise TaskError(f"the task's description can't be written: {error}; use strings, numbers, booleans") from error
    except ProofError as error:
        raise UsageError(f"a commitment can't express this: {error}") from error
    return content


def _digest_records(task: Task, spec: RecordSpec, secret: bytes | None, progress: Progress) -> list[Digest]:
    progress.begin("records", number_of_records(task.source))
    try:
        return digest_source(task.source, spec, secret, progress.at)
    finally:
        progress.end()


def _write_files(
    root: Path, artifacts: Artifacts, digests: list[Digest], commitment: bytes, sign: Callable[[bytes], None] | None
) -> None:
    write_whole(root / INIT_FILE, artifacts.init)
    write_whole(root / STEP_FILE, artifacts.step)
    write_whole(root / RECORDS_FILE, b"".join(digests))
    if sign:
        sign(commitment)
    write_whole(root / FILE, commitment)  # the last one: a directory with a commitment has everything else


def _refuse_foreign(root: Path) -> None:
    """Refuse a directory that holds anything but what an interrupted commit may have left."""
    ours = {"program", RECORDS_FILE, f"{RECORDS_FILE}.tmp", f"{FILE}.tmp"}
    signed = {folder.COMMITMENT, folder.BEACON, f"{folder.COMMITMENT}.tmp", f"{folder.BEACON}.tmp"}
    entries = [(entry.name, entry.name in ours) for entry in root.iterdir() if entry.name != folder.DIRECTORY]
    if (beside := root / folder.DIRECTORY).is_dir():
        entries += [(folder.where(entry.name), entry.name in signed) for entry in beside.iterdir()]
    # Foreign files may be somebody's own, and most would have the finished proof refused in stage 1.
    foreign = sorted(name for name, known in entries if not known)
    if foreign:
        raise UsageError(f"{root}: is no proof and not empty (it has {foreign[0]}); choose another directory")

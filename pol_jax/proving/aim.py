"""The aim of a run, and where it was made so far, are kept in a document as long as it is unfinished (`OpenRun`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pol_jax.errors import UsageError
from pol_jax.files import write_whole
from pol_jax.program.machine import current_environment
from pol_jax.protocol.claim import EnvironmentFrom, Intervention
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import FORMAT_1
from pol_jax.protocol.environment import Environment, environment_differences
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.storage.open_run import FILE, OpenRun, Preempted, read_open_run
from pol_jax.storage.proof import open_proof


@dataclass(frozen=True)
class Aim:
    """An aim says how many steps a run shall have, and which checkpoints its proof keeps.

    Attributes:
        steps: number of steps, T.
        keep_every: one checkpoint of this many is kept, and always that of step T.
    """

    steps: int
    keep_every: int

    def keeps(self, step: int, interval: int) -> bool:
        """Return whether the finished proof keeps the checkpoint of ``step``."""
        return step == self.steps or step % (self.keep_every * interval) == 0


def check_aim(steps: int | None, keep_every: int | None) -> None:
    """Check the numbers that a caller asks for.

    Raises:
        UsageError: a number is no integer, or out of bounds.
    """
    for name, asked in (("steps", steps), ("keep_every", keep_every)):
        if asked is not None:
            check_count(name, asked)


def check_count(name: str, asked: int) -> int:
    """Return a number of steps, checkpoints or segments that a run can have.

    Raises:
        UsageError: it is no integer, or out of bounds.
    """
    if not isinstance(asked, int) or not 1 <= asked <= MAX_STEPS:
        raise UsageError(f"{name} {asked!r:.40}: expected an integer from 1 to {MAX_STEPS}")
    return asked


def steps_of_open_run(root: Path) -> int | None:
    """Return how many steps an interrupted run in ``root`` shall have, or None if there is none."""
    before = read_open_run(root)
    return before.steps if before else None


def agree_on_aim(root: Path, steps: int | None, keep_every: int | None) -> Aim:
    """Return the aim of a run: what is asked for now, else its aim before an interruption, else what it committed to.

    Args:
        root: the proof's directory, with a commitment.
        steps: number of steps that the caller asks for, or None.
        keep_every: which checkpoints the caller asks to keep, or None.

    Raises:
        UsageError: a number is out of bounds, the commitment has another number of steps, the run is finished with
            another one, or it began on another backend.
    """
    check_aim(steps, keep_every)
    before = read_open_run(root)
    keep_every = keep_every or (before.keep_every if before else 1)
    proof = open_proof(root)
    if proof.claim is not None:
        if steps not in (None, proof.claim.steps):
            raise UsageError(f"{root}: is finished, with {proof.claim.steps} steps; start a new run for {steps}")
        return Aim(proof.claim.steps, keep_every)
    # A claim of version 1 names one environment. Steps from two would not be reproduced by either.
    changed = environment_differences(before.environment, current_environment()) if before else []
    if changed and proof.commitment.format == FORMAT_1:
        raise UsageError(f"{root}: was begun on another backend ({'; '.join(changed)}); continue it there")
    schedule = proof.commitment.schedule
    chosen = steps or (before.steps if before else schedule.steps)
    if chosen is None or not schedule.allows(chosen):
        committed = f"{'at most' if schedule.may_stop_early else 'exactly'} {schedule.steps}"
        raise UsageError(f"steps {chosen}: this run is committed to {committed}; leave it out, or start a new run")
    return Aim(chosen, keep_every)


def own_environment(commitment: Commitment) -> Environment:
    """Return this process's environment, as a claim of the commitment's version says it."""
    environment = current_environment()
    if commitment.format != FORMAT_1:
        return environment
    return msgspec.structs.replace(environment, variables=None, libraries=None)


def environments_so_far(root: Path, commitment: Commitment) -> tuple[EnvironmentFrom, ...]:
    """Return where an open run was made, as its claim will say; one that is just begun, where this process is."""
    before = read_open_run(root)
    return before.environments if before else (EnvironmentFrom(0, own_environment(commitment)),)


def environments_after(
    environments: Sequence[EnvironmentFrom], own: Environment, start: int
) -> tuple[EnvironmentFrom, ...]:
    """Return where a run was made that goes on after step ``start`` in the environment ``own``.

    What was made elsewhere after that step is made again here, and compared. An environment that differs in nothing
    that decides bits is none of its own.
    """
    kept = tuple(each for each in environments if each.start < start)
    # Where no step is kept, this process is compared with the environment in which the run began.
    before = kept or tuple(environments[:1])
    if not environment_differences(before[-1].environment, own):
        return before
    return (*kept, EnvironmentFrom(max(0, start), own))


def go_on(root: Path, aim: Aim, commitment: Commitment, start: int) -> None:
    """Note in the directory that a run goes on here after step ``start``, and warn if that is another backend.

    A run that has all of its steps already is not moved.

    Raises:
        UsageError: nothing but the initial state is there, and it was made on another backend: a claim can't say so.
    """
    before, own = environments_so_far(root, commitment), own_environment(commitment)
    after = environments_after(before, own, start) if start < aim.steps else before
    if before == after:
        return
    # Only row 0 is there, and the claim of section 2.2 says of the first environment that it made the initial state.
    if start == 0:
        changed = environment_differences(before[0].environment, own)
        raise UsageError(f"{root}: was begun on another backend ({'; '.join(changed)}); start a new run here")
    if len(after) > 1 and (changed := environment_differences(after[-2].environment, own)):
        warnings.warn(
            f"pol_jax: {root}: goes on after step {start} on another backend ({'; '.join(changed)}); the claim names"
            " both, and each reproduces its own steps only",
            stacklevel=2,
        )
    found = read_open_run(root)
    if found:
        write_whole(
            root / FILE,
            encode(msgspec.structs.replace(found, environment=after[0].environment, moves=after[1:])),
        )


def past_interventions(root: Path) -> tuple[Intervention, ...]:
    """Return the interventions of an interrupted run, ascending by step."""
    before = read_open_run(root)
    return before.interventions if before else ()


def preemption(root: Path) -> Preempted | None:
    """Return where an open run was interrupted with notice, or None if it was not."""
    before = read_open_run(root)
    return before.preempted if before else None


def remember(
    root: Path,
    aim: Aim,
    commitment: Commitment,
    interventions: Sequence[Intervention] = (),
    preempted: Preempted | None = None,
) -> None:
    """Write the aim, the backend and the interventions to the directory, where they stay until `forget`.

    Where the run was made so far is kept (`go_on`); where it was interrupted with notice too, until that happens again.
    """
    before, (first, *moves) = read_open_run(root), environments_so_far(root, commitment)
    preempted = preempted or (before.preempted if before else None)
    open_run = OpenRun(
        commitment.format,
        aim.steps,
        first.environment,
        aim.keep_every,
        tuple(interventions),
        preempted,
        tuple(moves),
    )
    write_whole(root / FILE, encode(open_run))


def forget(root: Path) -> None:
    """Remove what `remember` wrote: the run is finished, and its claim says all of it."""
    (root / FILE).unlink(missing_ok=True)

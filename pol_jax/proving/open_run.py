"""An unfinished run keeps a document that says how many steps it shall have, and on which backend it began."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pol_jax.errors import UsageError
from pol_jax.files import write_whole
from pol_jax.program.machine import current_environment
from pol_jax.protocol.documents import decode, encode
from pol_jax.protocol.encoding import FORMAT
from pol_jax.protocol.environment import Environment, environment_differences
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.storage.proof import OPEN_RUN_FILE, open_proof

StepCount = Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]


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


class OpenRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An open run is the document ``run.json``, which is removed when the run is finished."""

    format: Literal["pol-jax/1"]
    steps: StepCount
    environment: Environment
    keep_every: StepCount = 1


def check_aim(steps: int | None, keep_every: int | None) -> None:
    """Check the numbers that a caller asks for.

    Raises:
        UsageError: a number is no integer, or out of bounds.
    """
    for name, asked in (("steps", steps), ("keep_every", keep_every)):
        if asked is not None and (not isinstance(asked, int) or not 1 <= asked <= MAX_STEPS):
            raise UsageError(f"{name} {asked!r:.40}: expected an integer from 1 to {MAX_STEPS}")


def steps_of_open_run(root: Path) -> int | None:
    """Return how many steps an interrupted run in ``root`` shall have, or None if there is none."""
    before = _before(root)
    return before.steps if before else None


def agree_on_aim(root: Path, steps: int | None, keep_every: int | None, default_steps: int) -> Aim:
    """Return the aim of a run: what is asked for now, else its aim before an interruption, else the default.

    Args:
        root: the proof's directory, with a commitment.
        steps: number of steps that the caller asks for, or None.
        keep_every: which checkpoints the caller asks to keep, or None.
        default_steps: number of steps of the task.

    Raises:
        UsageError: a number is out of bounds, the run is finished with another number of steps, or it began on another
            backend.
    """
    check_aim(steps, keep_every)
    before = _before(root)
    keep_every = keep_every or (before.keep_every if before else 1)
    claim = open_proof(root).claim
    if claim is not None:
        if steps not in (None, claim.steps):
            raise UsageError(f"{root}: is finished, with {claim.steps} steps; start a new run for {steps}")
        return Aim(claim.steps, keep_every)
    # A claim names one environment. Steps from two would not be reproduced by either.
    changed = environment_differences(before.environment, current_environment()) if before else []
    if changed:
        raise UsageError(f"{root}: was begun on another backend ({'; '.join(changed)}); continue it there")
    return Aim(steps or (before.steps if before else default_steps), keep_every)


def remember(root: Path, aim: Aim) -> None:
    """Write the aim and the backend to the directory, where they stay until `forget`."""
    write_whole(root / OPEN_RUN_FILE, encode(OpenRun(FORMAT, aim.steps, current_environment(), aim.keep_every)))


def forget(root: Path) -> None:
    """Remove what `remember` wrote: the run is finished, and its claim says all of it."""
    (root / OPEN_RUN_FILE).unlink(missing_ok=True)


def _before(root: Path) -> OpenRun | None:
    file = root / OPEN_RUN_FILE
    return decode(file.read_bytes(), OpenRun, OPEN_RUN_FILE) if file.exists() else None

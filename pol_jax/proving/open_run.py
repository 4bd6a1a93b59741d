"""What an unfinished run remembers beside its rows: what it is to come to, and on which backend it began."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import UsageError
from pol_jax.files import write_whole
from pol_jax.program.machine import current_environment
from pol_jax.protocol.documents import decode, encode
from pol_jax.protocol.encoding import FORMAT
from pol_jax.protocol.environment import Environment, environment_differences
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.storage.proof import open_proof

FILE: Final = "run.json"

Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]


@dataclass(frozen=True)
class Aim:
    """What a run is to come to.

    Attributes:
        steps: T.
        keep_every: of so many checkpoints, one is kept; beside them that of step T.
    """

    steps: int
    keep_every: int

    def keeps(self, step: int, interval: int) -> bool:
        """Whether a checkpoint has a place in the finished proof, or only in the open run."""
        return step == self.steps or step % (self.keep_every * interval) == 0


class OpenRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document; gone when the run is finished."""

    format: Literal["pol-jax/1"]
    steps: Count
    environment: Environment
    keep_every: Count = 1


def agree_on_aim(root: Path, steps: int | None, keep_every: int | None, usual: int) -> Aim:
    """What a run is to come to: as asked for; else what it wanted before; else the usual steps, all checkpoints.

    Args:
        root: the proof's directory, with a commitment.
        steps: asked for by the caller, or None.
        keep_every: likewise.
        usual: the task's number of steps.

    Raises:
        UsageError: out of bounds, against a claim that is there, or on another backend than the run began on.
    """
    for name, asked in (("steps", steps), ("keep_every", keep_every)):
        if asked is not None and not 1 <= asked <= MAX_STEPS:
            raise UsageError(f"{name} {asked}: expected 1 to {MAX_STEPS}")
    before = decode((root / FILE).read_bytes(), OpenRun, FILE) if (root / FILE).exists() else None
    keep_every = keep_every or (before.keep_every if before else 1)
    claim = open_proof(root).claim
    if claim is not None:
        if steps not in (None, claim.steps):
            raise UsageError(f"{root}: is finished, with {claim.steps} steps; start a new run for {steps}")
        return Aim(claim.steps, keep_every)
    changed = environment_differences(before.environment, current_environment()) if before else []
    if changed:
        raise UsageError(f"{root}: was begun on another backend ({'; '.join(changed)}); go on there")
    return Aim(steps or (before.steps if before else usual), keep_every)


def remember(root: Path, aim: Aim) -> None:
    """Keep the aim and the backend, until `forget`."""
    write_whole(root / FILE, encode(OpenRun(FORMAT, aim.steps, current_environment(), aim.keep_every)))


def forget(root: Path) -> None:
    """The run is finished: its claim says all that is to be remembered."""
    (root / FILE).unlink(missing_ok=True)

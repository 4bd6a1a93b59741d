"""What an unfinished run remembers beside its rows: how far it wants to go, and on which backend it began."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.documents import decode, encode
from pol_jax.encoding import FORMAT
from pol_jax.environment import Environment, current_environment, differences
from pol_jax.errors import UsageError
from pol_jax.files import write_whole
from pol_jax.keys import MAX_STEPS
from pol_jax.proof import open_proof

FILE: Final = "run.json"


class OpenRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document; gone when the run is finished."""

    format: Literal["pol-jax/1"]
    steps: Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]
    environment: Environment


def agree_on_steps(root: Path, asked: int | None, usual: int) -> int:
    """How many steps a run has.

    Args:
        root: the proof's directory, with a commitment.
        asked: by the caller; None for what the run wanted before, or the usual number.
        usual: the task's.

    Raises:
        UsageError: out of bounds, against a claim that is there, or on another backend than the run began on.
    """
    if asked is not None and not 1 <= asked <= MAX_STEPS:
        raise UsageError(f"steps {asked}: expected 1 to {MAX_STEPS}")
    claim = open_proof(root).claim
    if claim is not None:
        if asked not in (None, claim.steps):
            raise UsageError(f"{root}: is finished, with {claim.steps} steps; start a new run for {asked}")
        return claim.steps
    before = decode((root / FILE).read_bytes(), OpenRun, FILE) if (root / FILE).exists() else None
    changed = differences(before.environment, current_environment()) if before else []
    if changed:
        raise UsageError(f"{root}: was begun on another backend ({'; '.join(changed)}); go on there")
    return asked or (before.steps if before else usual)


def remember(root: Path, steps: int) -> None:
    """Keep the number of steps and the backend, until `forget`."""
    write_whole(root / FILE, encode(OpenRun(FORMAT, steps, current_environment())))


def forget(root: Path) -> None:
    """The run is finished: its claim says all that is to be remembered."""
    (root / FILE).unlink(missing_ok=True)

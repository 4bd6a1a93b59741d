"""An unfinished run keeps a document, ``run.json``: how many steps it shall have, and on which backend it began."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import EnvironmentFrom, Intervention
from pol_jax.protocol.documents import HexDigest, decode
from pol_jax.protocol.encoding import Format
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.version_1 import upgrade_open_run
from pol_jax.storage.inventory import read_bounded

FILE: Final = "run.json"
"""A run that is not finished has this file, and the journal."""

StepCount = Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]


class Preempted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A preempted run was interrupted with notice: it has the step of its checkpoint, and the digest of that state."""

    step: StepCount
    state: HexDigest


class OpenRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An open run is the document ``run.json``, which is removed when the run is finished.

    Attributes:
        format: version of the format.
        steps: how many it shall have.
        environment: in which it began.
        keep_every: one checkpoint of this many is kept.
        interventions: those so far, ascending by step.
        preempted: where it was interrupted with notice, if it was.
        moves: the environments in which it went on after ``environment``, with the steps after which.
    """

    format: Format
    steps: StepCount
    environment: Environment
    keep_every: StepCount = 1
    interventions: tuple[Intervention, ...] = ()
    preempted: Preempted | None = None
    moves: tuple[EnvironmentFrom, ...] = ()

    @property
    def environments(self) -> tuple[EnvironmentFrom, ...]:
        """Return where the run was made so far, as a claim says it."""
        return (EnvironmentFrom(0, self.environment), *self.moves)


def read_open_run(root: Path) -> OpenRun | None:
    """Return the open run in a directory, or None if there is none; one of version 1 has an older environment.

    Raises:
        ProofError: the document is damaged.
    """
    try:
        content = read_bounded(root, FILE, Limits())
    except ProofError:
        # A link that leads nowhere is there too, and is no run that was finished meanwhile.
        if os.path.lexists(root / FILE):
            raise
        return None  # looked for in one step: a run that is finished meanwhile removes it
    return decode(content, OpenRun, FILE, upgrade_open_run)

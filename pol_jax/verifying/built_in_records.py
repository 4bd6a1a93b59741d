"""The records of a built-in task are found by the name that a proof has; the verifier's own, never the prover's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Commitment
from pol_jax.training.task import BUILT_IN, Source, load_task

BUILT_IN_RECORDS: Final = "the built-in task that the proof names"
"""This is what a report calls the records of `built_in_source`."""


class UnknownTaskError(UsageError):
    """A proof names a task that is not built in, and nothing said where its records are."""


def built_in_source(data_dir: Path | None = None) -> Callable[[Commitment], Source]:
    """Return a function that finds the records of the built-in task that a proof names.

    The name is the proof's, but it only chooses among the verifier's own; the records are then held against the
    commitment.
    """

    def find(commitment: Commitment) -> Source:
        name = commitment.task.name
        if name not in BUILT_IN:
            raise UnknownTaskError(
                f"the proof's task {name!r} is none of {', '.join(BUILT_IN)}: say where its records are"
            )
        return load_task(name, data_dir=data_dir).source

    return find

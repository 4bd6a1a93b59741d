"""A run of whomever is opened for a command that needs no states: without jax, its ledger by a confined process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.memory import memory_of_reading
from pol_jax.sandbox.reader import confined_reader
from pol_jax.storage.run import Run, open_run


@contextmanager
def open_run_apart(path: Path | str, limits: Limits | None = None) -> Iterator[Run]:
    """Open the run in a directory; whatever is read of it later is parsed by a process that is confined to it.

    Raises:
        UsageError: there is no proof in the directory.
        ProofError: a document is damaged.
    """
    run = open_run(path, limits)
    steps = run.claim.steps if run.claim else run.commitment.schedule.steps or run.limits.steps
    with confined_reader(run.root, memory_of_reading(run.commitment, steps)) as reader:
        yield replace(run, reader=reader)

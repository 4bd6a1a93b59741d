"""A proof of whomever is opened for a command: its documents here, its ledger and states by a confined process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.runs import open_run_apart
from pol_jax.storage.proof import Proof, proof_of


@contextmanager
def open_apart(path: Path | str, limits: Limits | None = None) -> Iterator[Proof]:
    """Open the proof in a directory, as `open_run_apart` opens a run."""
    with open_run_apart(path, limits) as run:
        yield proof_of(run)

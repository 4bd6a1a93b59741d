"""A proof of whomever is opened for a command: its documents here, its ledger and states by a confined process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.memory import memory_of_reading
from pol_jax.sandbox.reader import confined_reader
from pol_jax.storage.proof import Proof, open_proof


@contextmanager
def open_apart(path: Path | str, limits: Limits | None = None) -> Iterator[Proof]:
    """Open the proof in a directory; whatever is read of it later is parsed by a process that is confined to it.

    Raises:
        UsageError: there is no proof in the directory.
        ProofError: a document is damaged.
    """
    proof = open_proof(path, limits)
    steps = proof.claim.steps if proof.claim else proof.commitment.schedule.steps or proof.limits.steps
    with confined_reader(proof.root, memory_of_reading(proof.commitment, steps)) as reader:
        yield replace(proof, reader=reader)

"""A proof is a directory, whose files are read within limits (docs/protocol.md, section 11).

commitment.json   program/   records   checkpoints/   ledger/   claim.json   inventory.json
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from pol_jax.errors import ProofError, UsageError
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, Program, artifact_digests, load_program
from pol_jax.program.signature import Signature
from pol_jax.protocol import merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.encoding import DIGEST_BYTES
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.trees import PyTree
from pol_jax.storage.checked_leaves import check_leaves
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.interventions import load_intervention
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.reader import DIRECT
from pol_jax.storage.run import Run, open_run
from pol_jax.storage.seen_digests import seen_before
from pol_jax.training.pytrees import nested
from pol_jax.training.states import Layout

RECORDS_FILE: Final = "records"


@dataclass(frozen=True, repr=False)
class Proof(Run):
    """A proof, or a run that is not finished, with its programs, the digests of its records, and its states."""

    def artifacts(self) -> Artifacts:
        """Return the exported programs, as they are stored.

        Raises:
            ProofError: they are not the committed ones.
        """
        contents = [read_bounded(self.root, name, self.limits) for name in (INIT_FILE, STEP_FILE)]
        artifacts, committed = Artifacts(*contents), self.commitment.program
        for name, got, expected in zip(
            (INIT_FILE, STEP_FILE), artifact_digests(artifacts), (committed.init, committed.step), strict=True
        ):
            # Compared before a parser of jax or MLIR sees them: only committed bytes get that far.
            if got != expected:
                raise ProofError(name, "is not the committed program: its digest differs")
        return artifacts

    def program(self) -> Program:
        """Return the exported programs, loaded and audited.

        Raises:
            ProofError: they are not the committed ones, or a verifier refuses to run them.
        """
        return load_program(self.artifacts(), Signature.from_commitment(self.commitment))

    def records(self) -> UInt8[np.ndarray, "records 32"]:
        """Return the digests of all records.

        Raises:
            ProofError: their Merkle root is not the committed one.
        """
        content = read_bounded(self.root, RECORDS_FILE, self.limits)
        expected = self.commitment.data.records * DIGEST_BYTES
        # A Merkle root says nothing about the number of its leaves (section 6).
        if len(content) != expected:
            raise ProofError(RECORDS_FILE, f"has {len(content)} bytes, expected {expected}")
        leaves = [content[begin : begin + DIGEST_BYTES] for begin in range(0, expected, DIGEST_BYTES)]
        if merkle.root(leaves).hex() != self.commitment.data.root:
            raise ProofError(RECORDS_FILE, "its Merkle root is not the committed one")
        return np.frombuffer(content, np.uint8).reshape(-1, DIGEST_BYTES)

    def state(self, step: int) -> PyTree:
        """Return the state after ``step`` from its checkpoint, as nested dicts of arrays with typed PRNG keys."""
        return nested(self.commitment.state, self.leaves(step))

    def leaves(self, step: int) -> tuple[jax.Array, ...]:
        """Return the state after ``step`` from its checkpoint, as plain arrays in the order of the commitment."""
        with jax.enable_x64(Signature.from_commitment(self.commitment).is_wide):
            return tuple(jnp.array(leaf) for leaf in self.host_leaves(step))

    def host_leaves(self, step: int) -> list[np.ndarray]:
        """Return the state after ``step`` from its checkpoint, as arrays of the host.

        Raises:
            ProofError: the checkpoint is damaged, or changed since it was checked.
        """
        # It was compared with the ledger when it was kept, and nobody can write to it since.
        if self.parts and (kept := self.parts.state(step)) is not None:
            return kept
        with seen_before() if self.seen else nullcontext():
            leaves = self.reader.leaves(self.root, checkpoint_name(step), self.commitment.state)
        if self.seen:
            self.seen.check_state(checkpoint_name(step), step, Layout(self.commitment.state).gather(leaves).digest())
        return leaves

    def checked_leaves(self, step: int) -> Sequence[np.ndarray]:
        """Return the same; of a large state that this process reads itself, each leaf is read when it is asked for."""
        if self.parts and (kept := self.parts.state(step)) is not None:
            return kept
        # What another process has read comes as whole arrays.
        if self.reader is not DIRECT:
            return self.host_leaves(step)
        with seen_before() if self.seen else nullcontext():
            leaves = check_leaves(self.root, checkpoint_name(step), self.commitment.state)
        if self.seen:
            self.seen.check_state(checkpoint_name(step), step, leaves.digest())
        return leaves

    def changes(self, step: int) -> dict[int, np.ndarray]:
        """Return the leaves that an intervention after ``step`` put into the state, by their places; none if none did.

        Raises:
            ProofError: they are not those that the claim names.
        """
        found = (each for each in self.claim.interventions if each.after == step) if self.claim else ()
        for intervention in found:
            return load_intervention(self.root, intervention, self.commitment.state, self.reader)
        return {}

    def final_state(self) -> PyTree:
        """Return the state after the last step, as nested dicts of arrays."""
        return nested(self.commitment.state, self.final_leaves())

    def final_leaves(self) -> tuple[jax.Array, ...]:
        """Return the state after the last step, as plain arrays in the order of the commitment.

        Raises:
            UsageError: the run is not finished.
        """
        return self.leaves(self.finished().claim.steps)

    def finished(self) -> FinishedProof:
        """Return this proof as one that has a claim.

        Raises:
            UsageError: the run is not finished.
        """
        raise UsageError(f"{self.root}: the run is not finished; the command or code that began it also continues it")


@dataclass(frozen=True, repr=False)
class FinishedProof(Proof):
    """A proof whose run is finished, so that it has a claim: whatever is verified, opened, signed or started from."""

    claim: Claim

    def finished(self) -> FinishedProof:
        """Return this proof."""
        return self


def open_proof(path: Path | str, limits: Limits | None = None) -> Proof:
    """Open the proof in a directory, which reads its documents and nothing else: a `FinishedProof` if it has a claim.

    Raises:
        UsageError: there is no proof in the directory.
        ProofError: a document is damaged.
    """
    return proof_of(open_run(path, limits))


def proof_of(run: Run) -> Proof:
    """Return a run with its programs, records and states: a `FinishedProof` if it has a claim."""
    if run.claim is None:
        return Proof(run.root, run.commitment, None, run.limits, reader=run.reader)
    return FinishedProof(run.root, run.commitment, run.claim, run.limits, reader=run.reader)

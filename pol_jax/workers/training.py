"""The worker's side: it trains what it was assigned, with a proof."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.errors import DataError, UsageError
from pol_jax.progress import Progress
from pol_jax.protocol.initial import taken
from pol_jax.protocol.trees import PyTree
from pol_jax.proving.recording import Recording
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.pytrees import nested
from pol_jax.training.task import Task
from pol_jax.workers.assignment import Assignment


def train_update(
    task: Task,
    previous: PyTree,
    assignment: Assignment,
    out: Path | str,
    *,
    secret: bytes | None = None,
    key: Ed25519PrivateKey | None = None,
    progress: Progress | None = None,
) -> tuple[Proof, PyTree]:
    """Train an update of the global model with a proof in the directory ``out``, or continue an interrupted run there.

    Args:
        task: the task that the coordinator trusts, with this worker's own records as its source.
        previous: the global model, nested as the task's state is.
        assignment: what the coordinator asked for.
        out: the proof's directory.
        secret: 32 bytes that salt the records, if they were registered with it.
        key: the worker's private key, if the assignment names its public half: it signs the claim.
        progress: told of the steps.

    Returns:
        The finished proof, and the update: the leaves that were taken over, as they are after the last step.

    Raises:
        DataError: the records are not those that the assignment names.
        UsageError: the global model has nothing to take over, the directory has other files than this run's, or the
            key is not the one that the assignment names.
    """
    if assignment.prover is not None and key is None:
        raise UsageError(f"key: the claim must be signed by {assignment.prover}; give its private half")
    own = assignment.of_task(task)
    choices = assignment.choices(previous, secret)
    with Recording(own, out, steps=assignment.steps, choices=choices, progress=progress, key=key) as recording:
        # Before the first step: a coordinator would refuse the finished proof.
        if recording.commitment.data.root != assignment.data.root:
            raise DataError("the records are not those that the assignment names: a worker registers them only once")
        recording.run()
    proof = open_proof(out)
    return proof, final_update(proof)


def final_update(proof: Proof) -> PyTree:
    """Return the update of a finished proof: the leaves that were taken over, as they are after the last step.

    Raises:
        UsageError: the run is not finished.
    """
    places = taken(proof.commitment.initial, proof.commitment.state)
    leaves = proof.final_leaves()
    return nested(tuple(places.values()), [np.asarray(leaves[at]) for at in places])

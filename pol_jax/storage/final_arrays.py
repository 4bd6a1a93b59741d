"""The final state of a proof is read as arrays by name, if it is the one that its claim names."""

from __future__ import annotations

import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol import commitment as commitments
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import Proof
from pol_jax.training.states import Layout

Arrays = dict[str, np.ndarray]


def read_final_state(proof: Proof) -> Arrays:
    """Return the arrays of the final state by path.

    Raises:
        UsageError: the run is not finished.
        ProofError: the checkpoint or the commitment is not the claimed one.
    """
    proof = proof.finished()
    if proof.commitment.digest().hex() != proof.claim.commitment:
        raise ProofError(commitments.FILE, "is not the commitment that the claim names")
    layout = Layout(proof.commitment.state)
    leaves = proof.host_leaves(proof.claim.steps)
    if layout.gather(leaves).digest().hex() != proof.claim.final_state:
        raise ProofError(checkpoint_name(proof.claim.steps), "is not the final state that the claim names")
    return {leaf.path: np.asarray(values) for leaf, values in zip(layout.spec, leaves, strict=True)}


def select_parameters(state: Arrays) -> Arrays:
    """Return the final parameters: the leaf ``/params`` or all below it; of a state without any, all of it."""
    found = {path: values for path, values in state.items() if path == "/params" or path.startswith("/params/")}
    return found or state

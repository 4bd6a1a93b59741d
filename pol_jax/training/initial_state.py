"""What a run takes over into its initial state, and how prover and verifiers put that state together.

Leaves that are taken over come from the final state of an earlier proof, or from arrays of unproven origin; all others
are what ``init`` gives under the key of step 0, such as a new head in transfer learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt32

from pol_jax.program.artifact import Program
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import taken
from pol_jax.protocol.trees import StateSpec
from pol_jax.training.keys import step_keys
from pol_jax.training.states import Layout


def initial_leaves(program: Program, commitment: Commitment, given: Mapping[int, np.ndarray]) -> list[np.ndarray]:
    """The leaves of the initial state: those of ``given`` at their places, the others by ``init`` under its key."""
    derived = program.init(first_key(commitment))
    return [given[at] if at in given else np.asarray(leaf) for at, leaf in enumerate(derived)]


def taken_of(commitment: Commitment, leaves: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """Those of a state's leaves that the commitment says were taken over, by their places."""
    return {at: leaves[at] for at in taken(commitment.initial, commitment.state)}


def digest_of(spec: StateSpec, leaves: Sequence[np.ndarray]) -> str:
    """Hex state digest of these leaves alone, as a commitment has it of what is taken over."""
    return Layout(spec).gather(leaves).digest().hex()


def first_key(commitment: Commitment) -> UInt32[np.ndarray, " words"]:
    """Key data of step 0."""
    key: np.ndarray = step_keys(commitment.digest(), commitment.schedule.prng, 0, 1)[0]
    return key

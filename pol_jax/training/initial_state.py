"""Provers and verifiers put an initial state together from leaves that are taken over and those that ``init`` returns.

Leaves that are taken over come from the final state of an earlier proof, or from arrays of unproven origin. All others
are what ``init`` returns for the key of step 0, such as a new head in transfer learning (section 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt32

from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import taken
from pol_jax.protocol.trees import StateSpec
from pol_jax.training.keys import step_keys
from pol_jax.training.states import Layout


def taken_of(commitment: Commitment, leaves: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """Return the leaves of a state that were taken over according to the commitment, by their indices."""
    return {index: leaves[index] for index in taken(commitment.initial, commitment.state)}


def digest_of(spec: StateSpec, leaves: Sequence[np.ndarray]) -> str:
    """Return the hex state digest of these leaves alone, as a commitment has it for leaves that are taken over."""
    return Layout(spec).gather(leaves).digest().hex()


def first_key(commitment: Commitment) -> UInt32[np.ndarray, " words"]:
    """Return the key data of step 0."""
    key: np.ndarray = step_keys(commitment.digest(), commitment.schedule.prng, 0, 1)[0]
    return key

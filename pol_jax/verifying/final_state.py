"""A proof may be asked to end in a model that the verifier has at hand: leaf by leaf, bit for bit (stage 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol.trees import PyTree, StateSpec
from pol_jax.training.initial_state import digest_of
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.verifying.request import FinalLeaf


def final_leaves(model: PyTree, spec: StateSpec) -> tuple[FinalLeaf, ...]:
    """Return what to ask of a final state, so that it has the leaves of a model.

    Args:
        model: a pytree of arrays, nested as the state is; it may leave out leaves of the state.
        spec: of the state.

    Raises:
        UsageError: the model has a leaf that is none of the state, or is of another dtype or shape; the text names it.
    """
    leaves, wanted = {leaf.path: leaf for leaf in spec}, []
    for path, value in flatten_with_paths(model):
        leaf, array = leaves.get(path), np.asarray(value)
        if leaf is None:
            raise UsageError(f"leaf {path or '/'}: the state has none of this name")
        if (array.dtype.name, array.shape) != (leaf.dtype, leaf.shape):
            expected = f"{leaf.dtype}{list(leaf.shape)}"
            raise UsageError(f"leaf {path or '/'}: is {array.dtype.name}{list(array.shape)}, expected {expected}")
        wanted.append(FinalLeaf(path, digest_of((leaf,), [array])))
    return tuple(wanted)


def check_final(spec: StateSpec, leaves: Sequence[np.ndarray], wanted: Sequence[FinalLeaf], where: str) -> None:
    """Check that a final state has the wanted leaves.

    Args:
        spec: of the state.
        leaves: of the final state, which has the digest that the ledger has.
        wanted: leaves that it must have.
        where: what the state was read from.

    Raises:
        ProofError: it has another one, or none of this name.
    """
    places = {leaf.path: at for at, leaf in enumerate(spec)}
    for each in wanted:
        if each.path not in places:
            raise ProofError(where, f"the final state has no leaf {each.path or '/'}, which the model at hand has")
        at = places[each.path]
        # By digest: the model itself is not sent to the process that reads the proof.
        if digest_of((spec[at],), [leaves[at]]) != each.digest:
            raise ProofError(where, f"the final state's leaf {each.path or '/'} is not that of the model at hand")

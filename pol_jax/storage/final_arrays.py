"""The final state of a proof is read as arrays by name, if it is the one that its claim names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol.trees import StateSpec
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import Proof
from pol_jax.training.states import Layout


def read_final_state(proof: Proof) -> dict[str, np.ndarray]:
    """Return the arrays of the final state by path.

    Raises:
        UsageError: the run is not finished.
        ProofError: the checkpoint or the commitment is not the claimed one.
    """
    proof = proof.finished()
    # The commitment says how the bytes of a state are read, so it must be the claimed one before the state is.
    proof.claim.check_commitment(proof.commitment)
    layout = Layout(proof.commitment.state)
    leaves = proof.host_leaves(proof.claim.steps)
    if layout.gather(leaves).digest().hex() != proof.claim.final_state:
        raise ProofError(checkpoint_name(proof.claim.steps), "is not the final state that the claim names")
    return {leaf.path: np.asarray(values) for leaf, values in zip(layout.spec, leaves, strict=True)}


def select_parameters(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the final parameters: the leaf ``/params`` or all below it; of a state without any, all of it."""
    return {path: state[path] for path in parameter_paths(state)}


def parameter_paths(paths: Iterable[str]) -> list[str]:
    """Return the paths of parameters among those of a state: ``/params`` or all below it; if there are none, all."""
    every = list(paths)
    return [path for path in every if path == "/params" or path.startswith("/params/")] or every


class NamedLeaves(Mapping[str, np.ndarray]):
    """This mapping has the leaves of a state by path; each is asked for when it is looked up, and none is held."""

    def __init__(self, places: Mapping[str, int], leaves: Sequence[np.ndarray]) -> None:
        """Name leaves by paths, whose places are given."""
        self._places, self._leaves = places, leaves

    @classmethod
    def of(cls, spec: StateSpec, leaves: Sequence[np.ndarray]) -> NamedLeaves:
        """Return all leaves of a state by path."""
        return cls({leaf.path: at for at, leaf in enumerate(spec)}, leaves)

    def parameters(self) -> NamedLeaves:
        """Return the parameters alone, as `select_parameters` does."""
        return NamedLeaves({path: self._places[path] for path in parameter_paths(self)}, self._leaves)

    def __getitem__(self, path: str) -> np.ndarray:
        """Return the leaf at a path."""
        return np.asarray(self._leaves[self._places[path]])

    def __iter__(self) -> Iterator[str]:
        """Yield the paths."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return how many leaves there are."""
        return len(self._places)

"""A run can begin with leaves of an earlier proof's final state, or of weights of unproven origin (section 2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import EarlierProof, Initial, OwnKey, UnprovenWeights, taken
from pol_jax.protocol.trees import LeafSpec, PyTree, StateSpec
from pol_jax.storage.proof import Proof
from pol_jax.training.initial_state import digest_of
from pol_jax.training.pytrees import flatten_with_paths


@dataclass(frozen=True)
class Start:
    """A start says what a run takes over into its initial state.

    A leaf is taken over if the source has one of the same path, dtype and shape. Typed PRNG keys are never taken over.

    Attributes:
        source: a finished proof, whose final state is taken over; or a pytree of arrays of unproven origin, nested as
            the task's state is.
        take: paths of leaves, or of nodes above them such as ``/params``; the empty path stands for all that match.
            ``/model/params=/params`` takes what the source has below another path. A leaf of Flax NNX is found with or
            without its last component, ``/value``.
    """

    source: Proof | PyTree
    take: tuple[str, ...] = ("",)


def choose_leaves(start: Start, state: StateSpec) -> tuple[Initial, list[np.ndarray]]:
    """Return what the commitment says about a start, and the leaves that are taken over.

    Raises:
        UsageError: the source is an unfinished or damaged proof, or has nothing that can be taken over.
    """
    source = start.source
    found = _final_leaves(source) if isinstance(source, Proof) else _arrays(source)
    renames = [_rename(each) for each in start.take]
    given = {leaf.path: array for leaf in state if (array := _named(found, leaf.path, renames)) is not None}
    # A leaf of another shape, such as a new head, is left to the run's own key.
    matching = [leaf for leaf in state if leaf.prng is None and _is_like(given.get(leaf.path), leaf)]
    for origin, path in renames:
        if not any(_is_below(leaf.path, path) for leaf in matching):
            raise UsageError(f"start: nothing to take at {path or '/'}: {_why_not(path, state, found, given, origin)}")
    spec = tuple(leaf for leaf in matching if any(_is_below(leaf.path, path) for _, path in renames))
    leaves = [given[leaf.path] for leaf in spec]
    paths, digest = tuple(leaf.path for leaf in spec), digest_of(spec, leaves)
    if isinstance(source, Proof):
        return EarlierProof(source.finished().claim.digest().hex(), paths, digest), leaves
    return UnprovenWeights(paths, digest), leaves


def taken_leaves(commitment: Commitment, start: Start | None) -> dict[int, np.ndarray]:
    """Return the leaves that a run is committed to take over, by their indices in the state.

    Raises:
        UsageError: ``start`` does not have them.
    """
    if start is None:
        if isinstance(commitment.initial, OwnKey):
            return {}
        raise UsageError("start: what this run takes over is in no checkpoint yet; give the same start again")
    initial, leaves = choose_leaves(start, commitment.state)
    # The keys of the run follow from the committed leaves; with others it would be another run under the same name.
    if initial != commitment.initial:
        raise UsageError("start: this run is committed to another one; leave it out, or start a new run")
    return dict(zip(taken(initial, commitment.state), leaves, strict=True))


def _final_leaves(proof: Proof) -> dict[str, np.ndarray]:
    """Return the leaves of a proof's final state by path, without PRNG keys.

    The digest is compared, because Orbax does not notice damage.
    """
    proof = proof.finished()
    spec = proof.commitment.state
    leaves = proof.host_leaves(proof.claim.steps)
    # A damaged leaf would be committed to, and the run would then be rejected for ever (section 13.3).
    if digest_of(spec, leaves) != proof.claim.final_state:
        raise UsageError(
            f"start: {proof.root}: its final state is not the claimed one; verify that proof to learn more"
        )
    return {leaf.path: array for leaf, array in zip(spec, leaves, strict=True) if leaf.prng is None}


def _arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """Return the arrays of a pytree by path, without PRNG keys and without leaves that are no arrays."""
    arrays = {path: leaf for path, leaf in flatten_with_paths(tree) if isinstance(leaf, np.ndarray | jax.Array)}
    # Keys always come from the commitment: a key that the prover brought could be one that was searched for.
    keys = {path for path, leaf in arrays.items() if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)}
    return {path: np.asarray(leaf) for path, leaf in arrays.items() if path not in keys}


def _is_like(array: np.ndarray | None, leaf: LeafSpec) -> bool:
    return array is not None and (array.dtype.name, array.shape) == (leaf.dtype, leaf.shape)


def _named(found: Mapping[str, np.ndarray], path: str, renames: Sequence[tuple[str, str]]) -> np.ndarray | None:
    """Return the array of the source for the leaf ``path``, by the first rename that it lies below."""
    for origin, target in renames:
        if _is_below(path, target):
            name = origin + path.removeprefix(target)
            for each in (name, f"{name}/value", name.removesuffix("/value")):
                if each in found:
                    return found[each]
    return None


def _rename(take: str) -> tuple[str, str]:
    """Return the paths in the source and in the state that ``[FROM=]PATH`` names; ``/`` is the root."""
    origin, equals, path = take.partition("=")
    # Without a name for the source, the path is the same in both.
    return origin.rstrip("/"), (path if equals else origin).rstrip("/")


def _is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above}/")


def _why_not(path: str, state: StateSpec, found: Mapping[str, Any], given: Mapping[str, Any], origin: str) -> str:
    """Return why no leaf at or below ``path`` can be taken over."""
    wanted = [leaf for leaf in state if _is_below(leaf.path, path)]
    if not wanted:
        return f"the state has no leaf there; it has {', '.join(leaf.path or '/' for leaf in state[:3])}..."
    for leaf in wanted:
        array = given.get(leaf.path)
        if array is not None:
            wanted_shape = f"{leaf.dtype}{list(leaf.shape)}"
            return f"{leaf.path or '/'} is {wanted_shape}, and {array.dtype.name}{list(array.shape)} in the source"
    missing = origin + wanted[0].path.removeprefix(path)
    return f"the source has no {missing or '/'}; it has {', '.join(list(found)[:3]) or 'no arrays'}"

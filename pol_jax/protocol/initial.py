"""A commitment says where the initial state comes from (docs/protocol.md, section 2.1).

It comes from the run's own key, or takes leaves over from an earlier proof, or from weights of unproven origin.

Leaves that are taken over are fixed by their digest, which enters the commitment and so every key: nobody can search
for weights that fit the keys. Typed PRNG keys are never taken over; they always come from the commitment.
"""

from __future__ import annotations

import msgspec

from pol_jax.protocol.documents import HexDigest
from pol_jax.protocol.trees import LeafSpec, StateSpec


class OwnKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="origin", tag="key"):
    """The initial state is what ``init`` returns for the key of step 0."""

    @property
    def leaves(self) -> tuple[str, ...]:
        """Return the paths of the leaves that are taken over: none."""
        return ()


class EarlierProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="origin", tag="proof"):
    """Some leaves are those of the final state of another run, which has a proof of its own.

    Attributes:
        claim: digest of the claim of that run.
        leaves: paths of the leaves that are taken over, in the order of the state; at least one.
        digest: state digest of these leaves alone.
    """

    claim: HexDigest
    leaves: tuple[str, ...]
    digest: HexDigest


class UnprovenWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="origin", tag="weights"):
    """Some leaves come from elsewhere, and no proof shows how they were made.

    Attributes:
        leaves: paths of the leaves that are taken over, in the order of the state; at least one.
        digest: state digest of these leaves alone.
    """

    leaves: tuple[str, ...]
    digest: HexDigest


Initial = OwnKey | EarlierProof | UnprovenWeights


def taken(initial: Initial, state: StateSpec) -> dict[int, LeafSpec]:
    """Return the leaves of ``state`` that are taken over, by their indices in it, ascending."""
    paths = set(initial.leaves)
    return {index: leaf for index, leaf in enumerate(state) if leaf.path in paths}


def problem_of(initial: Initial, state: StateSpec) -> str | None:
    """Return what is wrong with the leaves that ``initial`` takes over, in words, or None if nothing is."""
    return None if isinstance(initial, OwnKey) else problem_of_leaves(initial.leaves, state)


def problem_of_leaves(paths: tuple[str, ...], state: StateSpec) -> str | None:
    """Return what is wrong with the paths of leaves that come from outside the program, in words, or None."""
    leaves = [leaf for leaf in state if leaf.path in set(paths)]
    # One order, so that the same leaves have one list of paths and one digest.
    if not paths or tuple(leaf.path for leaf in leaves) != paths:
        return "expected one or more paths of leaves of the state, in the order of the state, none twice"
    keys = [leaf.path for leaf in leaves if leaf.prng is not None]
    return f"{keys[0][:60]!r} is a PRNG key, which can only come from the commitment" if keys else None

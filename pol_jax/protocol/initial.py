"""Where a commitment says that the initial state comes from: its own key, an earlier proof, or weights from elsewhere.

Leaves that are taken over are fixed by their digest, which enters the commitment and so every key: nobody can look for
weights that fit the keys. Typed PRNG keys are never taken over; they always come from the commitment.
"""

from __future__ import annotations

import msgspec

from pol_jax.protocol.documents import HexDigest
from pol_jax.protocol.trees import LeafSpec, StateSpec


class OwnKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="origin", tag="key"):
    """The initial state is what ``init`` gives under the key of step 0."""

    @property
    def leaves(self) -> tuple[str, ...]:
        """None is taken over."""
        return ()


class EarlierProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="origin", tag="proof"):
    """Some leaves are those of another run's final state, which its proof is to show.

    Attributes:
        claim: digest of that run's claim.
        leaves: paths of the leaves that are taken over, in the order of the state; at least one.
        digest: state digest of these leaves alone.
    """

    claim: HexDigest
    leaves: tuple[str, ...]
    digest: HexDigest


class UnprovenWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="origin", tag="weights"):
    """Some leaves come from elsewhere, and no proof says how they were made.

    Attributes:
        leaves: paths of the leaves that are taken over, in the order of the state; at least one.
        digest: state digest of these leaves alone.
    """

    leaves: tuple[str, ...]
    digest: HexDigest


Initial = OwnKey | EarlierProof | UnprovenWeights


def taken(initial: Initial, state: StateSpec) -> dict[int, LeafSpec]:
    """The leaves of ``state`` that are taken over, by their places in it, ascending."""
    paths = set(initial.leaves)
    return {at: leaf for at, leaf in enumerate(state) if leaf.path in paths}


def problem_of(initial: Initial, state: StateSpec) -> str | None:
    """What is wrong with the leaves that ``initial`` takes over, in words; None where all is well."""
    if isinstance(initial, OwnKey):
        return None
    leaves = taken(initial, state).values()
    if not initial.leaves or tuple(leaf.path for leaf in leaves) != initial.leaves:
        return "expected one or more paths of leaves of the state, in its order, none twice"
    keys = [leaf.path for leaf in leaves if leaf.prng is not None]
    return f"{keys[0][:60]!r} is a PRNG key, which comes from the commitment and nowhere else" if keys else None

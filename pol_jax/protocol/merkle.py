"""Merkle trees and inclusion proofs are those of RFC 6962, section 2.1 (docs/protocol.md, section 6).

The tree of n leaves splits at the largest power of two below n. The leaves are digests that were made elsewhere, under
a context of their own, so that no leaf can be taken for an inner node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pol_jax.protocol.encoding import DIGEST_BYTES, Digest, node_digest


def root(leaves: Sequence[Digest]) -> Digest:
    """Return the root over ``leaves``, with one hash less than there are leaves.

    Raises:
        ValueError: there are no leaves; such a tree has no root (section 6).
    """
    if not leaves:
        raise ValueError("a Merkle tree needs at least one leaf")
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def proof(leaves: Sequence[Digest], index: int) -> list[Digest]:
    """Return the inclusion proof of leaf ``index``: the siblings from the leaf to the root (RFC 6962, 2.1.1)."""
    return proofs(leaves, [index])[0]


def proofs(leaves: Sequence[Digest], indices: Iterable[int]) -> list[list[Digest]]:
    """Return the inclusion proofs of several leaves; the tree is hashed only once."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        levels.append(_parents(levels[-1]))
    return [_path(levels, index) for index in indices]


def root_from_proof(leaf: Digest, index: int, size: int, path: Sequence[Digest]) -> Digest:
    """Return the root that the inclusion proof ``path`` gives for ``leaf`` at ``index`` of ``size`` leaves.

    Law: ``root_from_proof(leaves[i], i, len(leaves), proof(leaves, i)) == root(leaves)``.

    Raises:
        ValueError: the path is not as long as ``index`` and ``size`` require, or has something that is no digest.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    # Digests are joined before they are hashed: a longer one could move bytes from one side of a node to the other.
    if any(len(digest) != DIGEST_BYTES for digest in (leaf, *path)):
        raise ValueError(f"inclusion proof has a digest of other than {DIGEST_BYTES} bytes")
    node, rest = leaf, list(path)
    # The loop goes up level by level with the index and the number of nodes of each level. So a path has one length for
    # each leaf, and a proof for one place can never serve for another.
    while size > 1:
        if index % 2 or index + 1 < size:  # an odd last node has no sibling, and moves up unchanged
            if not rest:
                raise ValueError("inclusion proof is too short")
            sibling = rest.pop(0)
            node = node_digest(sibling, node) if index % 2 else node_digest(node, sibling)
        index, size = index >> 1, (size + 1) >> 1
    if rest:
        raise ValueError("inclusion proof is too long")
    return node


def _path(levels: Sequence[Sequence[Digest]], index: int) -> list[Digest]:
    if not 0 <= index < len(levels[0]):
        raise IndexError(f"there is no leaf {index} among {len(levels[0])}")
    siblings = ((level, (index >> height) ^ 1) for height, level in enumerate(levels[:-1]))
    return [level[sibling] for level, sibling in siblings if sibling < len(level)]


def _parents(level: list[Digest]) -> list[Digest]:
    """Return the next level up; an odd last node moves up unchanged, which gives the shape of RFC 6962."""
    pairs = [node_digest(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + level[-1:] if len(level) % 2 else pairs

"""These vectors pin Merkle roots, audit paths, and paths that must be refused (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Final

from pol_jax.protocol import encoding, merkle
from vectors.form import Vector

LEAVES: Final = [encoding.row_digest(bytes([at])) for at in range(9)]

INDEX: Final = 4
SIZE: Final = 7
LEAF: Final = LEAVES[INDEX].hex()
PATH: Final = [step.hex() for step in merkle.proof(LEAVES[:SIZE], INDEX)]
"""The audit path that every wound below damages in one place."""

WOUNDS: Final[tuple[tuple[str, str, int, int, list[str]], ...]] = (
    # name, leaf, index, size, path
    ("path too short", LEAF, INDEX, SIZE, PATH[:-1]),
    ("path too long", LEAF, INDEX, SIZE, [*PATH, PATH[0]]),
    ("empty path", LEAF, INDEX, SIZE, []),
    ("path of another place", LEAF, 6, SIZE, PATH),
    ("index beyond the size", LEAF, 7, SIZE, PATH),
    ("negative index", LEAF, -1, SIZE, PATH),
    ("no leaves", LEAF, 0, 0, []),
    ("short sibling", LEAF, INDEX, SIZE, [PATH[0][:-2], *PATH[1:]]),
    ("long sibling", LEAF, INDEX, SIZE, [PATH[0] + "00", *PATH[1:]]),
    ("short leaf", LEAF[:-2], INDEX, SIZE, PATH),
    ("long leaf", LEAF + "00", INDEX, SIZE, PATH),
    ("byte moved from leaf to sibling", LEAF[:-2], INDEX, SIZE, [LEAF[-2:] + PATH[0], *PATH[1:]]),
)


def vectors() -> Vector:
    """Make roots and audit paths for 1 to 9 leaves, and the wounds."""
    found = []
    for size in range(1, len(LEAVES) + 1):
        paths = [[step.hex() for step in merkle.proof(LEAVES[:size], index)] for index in range(size)]
        found.append({"size": size, "root": merkle.root(LEAVES[:size]).hex(), "paths": paths})
    refusals = [dict(zip(("name", "leaf", "index", "size", "path"), wound, strict=True)) for wound in WOUNDS]
    return {"leaves": [leaf.hex() for leaf in LEAVES], "trees": found, "refusals": refusals}

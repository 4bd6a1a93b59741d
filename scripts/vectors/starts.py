"""These vectors pin the digest of leaves that an initial state takes over from elsewhere (docs/protocol.md, 2.1)."""

from __future__ import annotations

from pol_jax.protocol.documents import encode
from pol_jax.training.initial_state import digest_of
from vectors import states
from vectors.form import Vector

CASES = (
    ("one of several", "bfloat16, bool, zero-size", ("/b",)),
    ("the first and the last", "bfloat16, bool, zero-size", ("/a", "/c")),
    ("all", "bfloat16, bool, zero-size", ("/a", "/b", "/c")),
    ("in pieces", "six pieces", ("/w",)),
    ("a state of one leaf", "one float", ("",)),
)
"""A name, the state among `states.cases`, and the paths of the leaves that are taken over."""


def vectors() -> list[Vector]:
    """Make for each case the specification of the state, all its leaves, the paths taken over, and their digest."""
    found = []
    for name, state, paths in CASES:
        pairs = states.cases()[state]
        chosen = [(spec, array) for spec, array in pairs if spec.path in paths]
        found.append(
            {
                "name": name,
                "state": encode([spec for spec, _ in pairs]).decode(),
                "leaves": [array.tobytes().hex() for _, array in pairs],
                "taken": list(paths),
                "digest": digest_of(tuple(spec for spec, _ in chosen), [array for _, array in chosen]),
            }
        )
    return found

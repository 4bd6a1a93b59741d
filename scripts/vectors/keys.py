"""These vectors pin the keys of steps (docs/protocol.md, section 7)."""

from __future__ import annotations

from typing import Final

from pol_jax.protocol.keys import root_key
from pol_jax.training.keys import step_keys
from vectors.form import Vector, pattern

COMMITMENTS: Final = (pattern(32), bytes(32), b"\xff" * 32)
STEPS: Final = (0, 1, 2, 255, 256, 257, 10**6, 2**32 - 1)


def vectors() -> list[Vector]:
    """Make the root key and keys of steps, as 32-bit words, for each commitment and each PRNG."""
    return [_vector(commitment, prng) for commitment in COMMITMENTS for prng in ("threefry2x32", "rbg", "unsafe_rbg")]


def _vector(commitment: bytes, prng: str) -> Vector:
    return {
        "commitment": commitment.hex(),
        "prng": prng,
        "root": root_key(commitment, prng).tolist(),
        "steps": {step: step_keys(commitment, prng, step, step + 1)[0].tolist() for step in STEPS},
    }

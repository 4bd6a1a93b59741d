"""These vectors pin the digests of states and of their specifications (docs/protocol.md, section 4)."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from pol_jax.protocol import encoding
from pol_jax.protocol.documents import encode
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.training.states import Layout
from vectors.form import Vector, leaf, pattern

Leaf = tuple[LeafSpec, np.ndarray]


def vectors() -> list[Vector]:
    """Make a vector of each state of `cases`."""
    found = []
    for name, pairs in cases().items():
        spec, arrays = tuple(spec for spec, _ in pairs), [array for _, array in pairs]
        found.append(
            {
                "name": name,
                "spec": encode(list(spec)).decode(),
                "leaves": [array.tobytes().hex() for array in arrays],
                "spec_digest": encoding.document_digest("state spec", encode(list(spec))).hex(),
                "digest": Layout(spec).gather(arrays).digest().hex(),
            }
        )
    return found


def cases() -> dict[str, list[Leaf]]:
    """Return states by name, as leaves with their arrays."""
    bfloat16 = np.array([[1, -2, 0.5], [float("inf"), float("nan"), -0.0]], ml_dtypes.bfloat16)
    return {
        "one float": [(leaf("", "float32", ()), np.array(1.5, np.float32))],
        "bfloat16, bool, zero-size": [
            (leaf("/a", "bfloat16", (2, 3)), bfloat16),
            (leaf("/b", "bool", (3,)), np.array([True, False, True])),
            (leaf("/c", "float32", (0, 3)), np.empty((0, 3), np.float32)),
        ],
        "keys": [
            (leaf("/rngs/dropout", "uint32", (2,), prng="threefry2x32"), np.array([1, 2], np.uint32)),
            (leaf("/rngs/noise", "uint32", (2, 4), prng="rbg"), np.arange(8, dtype=np.uint32).reshape(2, 4)),
        ],
        "words, no key": [(leaf("/rngs/dropout", "uint32", (2,)), np.array([1, 2], np.uint32))],
        "one piece": [_filled(leaf("/w", "int16", (4, 6)), 5)],
        "six pieces": [_filled(leaf("/w", "int16", (4, 6), (2, 3)), 5)],
        "pieces of three axes": [_filled(leaf("/w", "uint8", (2, 4, 6), (1, 4, 2)), 7)],
        "escaped path": [_filled(leaf("/a~1b/~0c/é", "int8", (3,)), 9)],
        "every dtype": [_filled(leaf(f"/{name}", name, (2,)), at) for at, name in enumerate(DTYPES)],
    }


def _filled(spec: LeafSpec, start: int) -> Leaf:
    """Fill a leaf with the pattern; a bool has only the bytes 0 and 1."""
    content = pattern(spec.nbytes, start)
    if spec.dtype == "bool":
        content = bytes(byte % 2 for byte in content)
    return spec, np.frombuffer(content, DTYPES[spec.dtype]).reshape(spec.shape)

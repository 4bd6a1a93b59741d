"""These vectors pin the distance between two states by every metric (docs/protocol.md, section 12.2)."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from pol_jax.protocol.distances import distance
from pol_jax.protocol.policies import METRICS
from pol_jax.protocol.trees import DTYPES
from vectors.form import Vector, leaf, number

SPEC: Final = (
    leaf("/a", "float32", (3,)),
    leaf("/b", "float16", (2,)),
    leaf("/c", "float64", ()),
    leaf("/n", "int32", ()),  # no floating-point leaf: it never counts
)

INF: Final = math.inf
NAN: Final = math.nan
TINY: Final = 2.0**-600

CASES: Final[dict[str, tuple[Any, ...]]] = {
    # name: the leaves of the first state, the leaves of the second
    "no update": ([1, -2, 0.1], [3, 4], 5, 6, [1, -2, 0.1], [3, 4], 5, 6),
    "only the integer": ([1, -2, 0.1], [3, 4], 5, 6, [1, -2, 0.1], [3, 4], 5, 7),
    "some": ([1, -2, 0.1], [3, 4], 5, 6, [1.5, -2, 0.3], [3, -4], 1e-3, 6),
    "a longer vector": ([1, -2, 0.1], [3, 4], 5, 6, [2, -4, 0.2], [6, 8], 10, 6),
    "from zeros": ([0, 0, 0], [0, 0], 0, 6, [1, -2, 0.1], [3, 4], 5, 6),
    "zeros of both signs": ([0, 0, 0], [0, 0], 0, 6, [0, -0.0, 0], [0, 0], -0.0, 6),
    "too small to square": ([0, 0, 0], [0, 0], TINY, 6, [0, 0, 0], [0, 0], -TINY, 6),
    "NaN": ([1, NAN, 0.1], [3, 4], 5, 6, [1, NAN, 0.1], [3, 4], 5, 6),
    "infinities": ([1, -2, 0.1], [3, INF], 5, 6, [1, -2, 0.1], [3, -INF], 5, 6),
    "the same infinity": ([1, -2, 0.1], [3, INF], 5, 6, [1, -2, 0.1], [3, INF], 5, 6),
    "too large to square": ([1, -2, 0.1], [3, 4], 1e200, 6, [1, -2, 0.1], [3, 4], -1e200, 6),
    "too large": ([1, -2, 0.1], [3, 4], 1.7e308, 6, [1, -2, 0.1], [3, 4], -1.7e308, 6),
}


def vectors() -> list[Vector]:
    """Make the distance of each case by each metric."""
    found = []
    for name, values in CASES.items():
        leaves = [np.array(value, DTYPES[spec.dtype]) for value, spec in zip(values, (*SPEC, *SPEC), strict=True)]
        before, after = leaves[: len(SPEC)], leaves[len(SPEC) :]
        vector: Vector = {"name": name, "dtypes": [spec.dtype for spec in SPEC]}
        vector["states"] = [[leaf.tobytes().hex() for leaf in state] for state in (before, after)]
        found.append(vector | {metric: number(distance(SPEC, before, after, metric)) for metric in METRICS})
    return found

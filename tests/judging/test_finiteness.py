"""Which values of a state are not finite."""

from __future__ import annotations

import numpy as np

from pol_jax.judging.finiteness import non_finite_leaves
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.reports.states import NonFinite


def test_leaves_with_nans_and_infinities_are_counted() -> None:
    values = {"float32": [1, np.nan, -np.inf], "bfloat16": [1, 2, np.nan], "complex64": [1, complex(0, np.inf), 2]}
    values |= {"int32": [1, 2, 3], "float64": [0, 1e308, -1]}
    spec = [LeafSpec(f"/{dtype}", dtype, (3,), (1,), None) for dtype in values]
    leaves = [np.array(numbers, DTYPES[dtype]) for dtype, numbers in values.items()]
    assert non_finite_leaves(tuple(spec), leaves) == (
        NonFinite("/float32", 2, 3),
        NonFinite("/bfloat16", 1, 3),
        NonFinite("/complex64", 1, 3),
    )

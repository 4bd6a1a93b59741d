"""Arrays of several forms by name, as files of weights hold them."""

from __future__ import annotations

import numpy as np

ARRAYS: dict[str, np.ndarray] = {
    "dense.kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "dense.bias": np.zeros(4, np.float16),
    "empty": np.zeros((0, 3), np.int32),
    "scalar": np.array(7, np.int64),
    "mask": np.array([True, False, True]),
}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two sets of arrays have the same names, forms and bytes."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )

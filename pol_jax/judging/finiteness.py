"""A model with a NaN or an infinity is worth a warning, however it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pol_jax.judging.leaf_numbers import doubles, is_floating
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.states import NonFinite

_CHUNK: Final = 2**20
"""This many elements are converted to doubles at a time."""


def non_finite_leaves(spec: StateSpec, leaves: Sequence[np.ndarray]) -> tuple[NonFinite, ...]:
    """Return the leaves of a state that hold a NaN or an infinity, with the number of such values."""
    found = []
    for leaf, array in zip(spec, leaves, strict=True):
        count = _count(array) if is_floating(leaf.dtype) else 0
        if count:
            found.append(NonFinite(leaf.path, count, array.size))
    return tuple(found)


def _count(array: np.ndarray) -> int:
    """Return how many elements are not finite; a complex one is not finite if one of its parts is not."""
    flat, parts = np.ravel(array), 2 if np.iscomplexobj(array) else 1
    chunks = (doubles(flat[at : at + _CHUNK]).reshape(-1, parts) for at in range(0, flat.size, _CHUNK))
    return sum(int(np.count_nonzero(~np.isfinite(chunk).all(axis=1))) for chunk in chunks)

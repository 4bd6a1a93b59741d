"""A floating-point leaf is taken as a vector of numbers: doubles, bits, and Euclidean distances of two.

All arithmetic is in doubles on the host. Norms are scaled, so that tiny values don't become 0 and huge ones infinity.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

_CHUNK: Final = 2**20
"""This many elements are converted to doubles at a time."""

Flat = Float64[np.ndarray, " n"]
"""A flat leaf is one vector of doubles."""


def is_floating(dtype: str) -> bool:
    """Return whether values of a dtype are rounded: real or complex floating point."""
    return dtype.startswith(("float", "bfloat", "complex"))


def finite_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Euclidean distance between two floating-point leaves, over the elements that are finite in both."""
    found = 0.0
    for at in range(0, first.size, _CHUNK):  # no second copy in a wider type
        a, b = (doubles(np.ravel(array)[at : at + _CHUNK]) for array in (first, second))
        found = math.hypot(found, norm(a, b, np.isfinite(a) & np.isfinite(b)))
    return found


def same_non_finite(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two leaves have the same NaNs and infinities at the same places."""
    # With all finite values equal to 0, what is left to compare is which values are not finite, and how: the sign of an
    # infinity counts, the payload of a NaN does not (`odd_nans` judges that).
    first, second = (np.where(np.isfinite(x), 0.0, x) for x in (doubles(a), doubles(b)))
    return bool(np.array_equal(first, second, equal_nan=True))


def bits_of(leaf: np.ndarray) -> np.ndarray:
    """Return the bits of each real number of a leaf, as unsigned integers."""
    flat = np.ascontiguousarray(leaf).reshape(-1)
    width = flat.dtype.itemsize // (2 if np.iscomplexobj(flat) else 1)
    return flat.view(f"u{width}")


def doubles(leaf: np.ndarray) -> Flat:
    """Return a floating-point leaf as one vector of doubles; a complex number is two elements of it."""
    flat = np.ravel(leaf)
    if np.iscomplexobj(flat):
        # The distance between complex numbers is that between the pairs of their parts.
        return flat.astype(np.complex128).view(np.float64)
    return flat.astype(np.float64)


def norm(a: Flat, b: Flat, where: Bool[np.ndarray, " n"]) -> float:
    """Return the Euclidean distance between two vectors, over some of their elements.

    The differences are divided by the largest of them before they are squared: squares of tiny or huge numbers would be
    0 or infinity.
    """
    with np.errstate(over="ignore"):
        difference = np.abs(np.subtract(a, b, where=where, out=np.zeros_like(a)))
    largest = float(np.max(difference, initial=0.0))
    # Dividing by 0 or by infinity would make a NaN of a distance that is known.
    if largest == 0 or math.isinf(largest):
        return largest
    return largest * float(np.linalg.norm(difference / largest))

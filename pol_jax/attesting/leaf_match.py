"""A leaf match says how one array of a model comes from one leaf: exactly, by which changes, or how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import ml_dtypes
import numpy as np

_MAX_PERMUTED_AXES: Final = 4
"""Of arrays with more axes only their order as it is and its reverse are tried: 5 axes have 120 orders."""

_PROBES: Final = 64
"""This many elements are compared first: where they differ, the whole arrays need not be compared."""

_CHUNK: Final = 2**20
_THROUGH: Final = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
"""Types through which weights are rounded on their way, though they are stored in a wider one."""


@dataclass(frozen=True)
class Distance:
    """A distance says how far an array is from a leaf.

    Attributes:
        l2: Euclidean distance; infinite if a number is NaN or infinite in one of them only.
        norm: Euclidean norm of the leaf.
    """

    l2: float
    norm: float

    @property
    def relative(self) -> float:
        """Return the distance as a part of the norm; infinite beside a leaf of zeros."""
        return self.l2 / self.norm if self.norm > 0 else (0.0 if self.l2 == 0 else float("inf"))


@dataclass(frozen=True)
class LeafMatch:
    """A leaf match is an array of the model and the leaf that it comes from.

    Attributes:
        name: of the array; None for a leaf that the model lacks.
        leaf: path of the leaf; None for an array that no leaf has the shape of.
        axes: order of the leaf's axes in the array, where it was transposed.
        cast: the dtype that the leaf was cast to, or rounded through.
        distance: None if the array is the leaf, bit for bit after transposing and casting.
    """

    name: str | None
    leaf: str | None
    axes: tuple[int, ...] | None = None
    cast: str | None = None
    distance: Distance | None = None

    @property
    def is_renamed(self) -> bool:
        """Return whether the names differ by more than their separators."""
        return self.name is not None and self.leaf is not None and plain_name(self.name) != plain_name(self.leaf)

    def describe(self) -> str:
        """Return one line that says what became of the leaf."""
        if self.name is None:
            return f"{self.leaf}: is not in the model."
        if self.leaf is None:
            return f"{self.name}: is in the model, and no final parameter has its shape."
        changes = [f"named {self.name}"] if self.is_renamed else []
        changes += [f"transposed to axes {self.axes}"] if self.axes else []
        changes += [f"cast to {self.cast}"] if self.cast else []
        how = f" ({', '.join(changes)})" if changes else ""
        if self.distance is None:
            return f"{self.leaf}{how}: {'equal after that' if changes else 'equal'}, bit for bit."
        return f"{self.leaf}{how}: differs by {self.distance.l2:.3g} (l2), {self.distance.relative:.3g} of its norm."


def plain_name(name: str) -> str:
    """Return a name without what tells frameworks apart: ``/a/b`` and ``a.b`` are the same."""
    return name.strip("/").replace("/", ".")


def match_exactly(name: str, array: np.ndarray, leaf: str, values: np.ndarray) -> LeafMatch | None:
    """Return the way in which ``values`` give exactly ``array``, or None; the simplest first."""
    for axes in _orders(values.shape, array.shape):
        turned = values.transpose(axes)
        for cast, through in _casts(values.dtype, array.dtype):
            if _same(array, turned, through):
                return LeafMatch(name, leaf, _moved(axes), cast)
    return None


def match_nearest(name: str, array: np.ndarray, leaves: Mapping[str, np.ndarray]) -> LeafMatch:
    """Return the match with the nearest of ``leaves`` in any order of axes; with none where no shape fits."""
    # A sample decides which leaf is the nearest one; the distance that is told is that of all elements.
    best = min(
        (
            (_distance(_sample(array), _sample(values.transpose(axes))).l2, leaf, axes)
            for leaf, values in leaves.items()
            for axes in _orders(values.shape, array.shape)
        ),
        default=None,
    )
    if best is None:
        return LeafMatch(name, None)
    _, leaf, axes = best
    values = leaves[leaf].transpose(axes)
    cast = None if array.dtype == values.dtype else array.dtype.name
    return LeafMatch(name, leaf, _moved(axes), cast, _distance(array, values))


def _moved(axes: tuple[int, ...]) -> tuple[int, ...] | None:
    return None if axes == tuple(range(len(axes))) else axes


def _orders(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the orders of axes that turn ``shape`` into ``wanted``, the unchanged one first."""
    if sorted(shape) != sorted(wanted):
        return
    axes = tuple(range(len(shape)))
    orders = permutations(axes) if len(axes) <= _MAX_PERMUTED_AXES else iter((axes, axes[::-1]))
    yield from (order for order in orders if tuple(shape[axis] for axis in order) == wanted)


def _casts(source: np.dtype, target: np.dtype) -> Iterator[tuple[str | None, np.dtype]]:
    """Yield what a leaf may have been cast to: the name to tell, and the type through which it went."""
    if source == target:
        yield None, source
    elif _is_real(source) and _is_real(target):
        yield target.name, target
    if _is_real(source) and _is_real(target):
        for through in _THROUGH:
            if through not in (source, target) and through.itemsize < target.itemsize:
                yield f"{through.name}, kept as {target.name}", through


def _is_real(kind: np.dtype) -> bool:
    return kind.name.startswith(("float", "bfloat"))  # numpy's own kind of bfloat16 is "void"


def _same(array: np.ndarray, values: np.ndarray, through: np.dtype) -> bool:
    """Say whether the bits of ``array`` are those of ``values`` after the casts; some are compared before all are."""
    flat = array.size
    if flat > 4 * _PROBES:
        probes = np.unravel_index(np.linspace(0, flat - 1, _PROBES).astype(np.int64), array.shape)
        if not _equal_bits(array[probes], values[probes], through):
            return False
    return all(_equal_bits(one, other, through) for one, other in _slices(array, values))


def _equal_bits(array: np.ndarray, values: np.ndarray, through: np.dtype) -> bool:
    with np.errstate(all="ignore"):  # a cast may overflow: that is how weights become infinite
        cast = values.astype(through).astype(array.dtype)
    return array.tobytes() == cast.tobytes()


def _slices(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield both arrays in pieces of bounded size, along the first axis where there is one."""
    if one.ndim == 0 or one.size <= _CHUNK:
        yield one, other
        return
    rows = max(1, _CHUNK * one.shape[0] // one.size)
    for at in range(0, one.shape[0], rows):
        yield one[at : at + rows], other[at : at + rows]


def _sample(array: np.ndarray) -> np.ndarray:
    """Return up to 4,096 elements, from the same places for the same shape."""
    places = np.unique(np.linspace(0, max(array.size - 1, 0), min(array.size, 4096)).astype(np.int64))
    return array[np.unravel_index(places, array.shape)] if array.ndim else array


def _distance(array: np.ndarray, values: np.ndarray) -> Distance:
    difference = norm = 0.0
    for one, other in _slices(array, values):
        wide = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
        left, right = one.astype(wide), other.astype(wide)
        with np.errstate(all="ignore"):
            # Equal infinities, and NaNs at one place, count as equal: their difference would be NaN.
            gap = np.where((left == right) | (np.isnan(left) & np.isnan(right)), 0, left - right)
            difference += float(np.sum(np.abs(gap) ** 2))
            norm += float(np.sum(np.abs(right) ** 2))
    return Distance(_root(difference), _root(norm))


def _root(square: float) -> float:
    return float("inf") if np.isnan(square) else float(np.sqrt(square))

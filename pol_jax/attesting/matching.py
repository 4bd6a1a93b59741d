"""A match says how the arrays of a model at hand relate to the final parameters of a proof, leaf by leaf.

Deployed models are renamed, transposed and cast on their way out of training. Each of these is tried and told; what is
left is a distance. Nothing is matched because it is near: near is a number, equal is bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pol_jax.attesting.leaf_match import Distance, LeafMatch, match_exactly, match_nearest, plain_name

NamedArrays = Mapping[str, np.ndarray]
"""Arrays of a model by name, or leaves of a state by path."""


@dataclass(frozen=True)
class Match:
    """A match says how a model relates to the final parameters.

    Attributes:
        leaves: one for each array, then one for each leaf that the model lacks.
    """

    leaves: tuple[LeafMatch, ...]

    @property
    def is_equal(self) -> bool:
        """Return whether the model is the final parameters bit for bit, up to names and the order of axes."""
        return bool(self.leaves) and all(
            leaf.name is not None and leaf.leaf is not None and leaf.distance is None and leaf.cast is None
            for leaf in self.leaves
        )

    @property
    def is_cast(self) -> bool:
        """Return whether it is the final parameters up to casts too, at least one: bits were lost, none was changed."""
        complete = all(leaf.name is not None and leaf.leaf is not None for leaf in self.leaves)
        exact = all(leaf.distance is None for leaf in self.leaves)
        return bool(self.leaves) and complete and exact and any(leaf.cast for leaf in self.leaves)

    @property
    def distance(self) -> Distance:
        """Return the distance of all leaves together that differ from their partner."""
        found = [leaf.distance for leaf in self.leaves if leaf.distance is not None]
        return Distance(_norm(one.l2 for one in found), _norm(one.norm for one in found))

    def describe(self) -> str:
        """Return one line that says which model this is."""
        if self.is_equal:
            return "The model is the proof's final parameters, bit for bit."
        if self.is_cast:
            kinds = ", ".join(sorted({leaf.cast for leaf in self.leaves if leaf.cast}))
            return f"The model is the proof's final parameters, cast to {kinds} and otherwise unchanged."
        changed = sum(leaf.distance is not None for leaf in self.leaves)
        lacking = sum(leaf.name is None for leaf in self.leaves)
        more = sum(leaf.leaf is None for leaf in self.leaves)
        return (
            f"The model is not the proof's final parameters: {changed} leaves differ (by {self.distance.relative:.3g} "
            f"of their norm), {lacking} are missing, {more} arrays are of no leaf."
        )


def match_model(model: NamedArrays, final: NamedArrays) -> Match:
    """Return how ``model`` relates to ``final``, the final parameters by path.

    Exact partners are sought first, by name and then by content; of equal leaves each is taken once as long as there
    are enough. What is left is paired by name, then by the nearest leaf of its shape.
    """
    leaves = _LeafIndex(final)
    found: dict[str, LeafMatch] = {}
    for name, array in model.items():
        exact = leaves.find_exact(name, array, leaves.of_name(name))
        if exact:
            found[name] = exact
    for name in [name for name in model if name not in found]:  # after all names: no leaf is taken from its own name
        array = model[name]
        exact = leaves.find_exact(name, array, leaves.of_shape(array)) or leaves.find_copy(name, array)
        if exact:
            found[name] = exact
    for name in [name for name in model if name not in found]:
        found[name] = leaves.find_nearest(name, model[name])
    return Match((*(found[name] for name in model), *(LeafMatch(None, leaf) for leaf in leaves.free)))


class _LeafIndex:
    """The final parameters are held by name and by shape, with those that no array of the model has taken yet."""

    def __init__(self, final: NamedArrays) -> None:
        self._final = final
        self._by_name: dict[str, str] = {plain_name(leaf): leaf for leaf in final}
        self._by_shape: dict[tuple[int, ...], list[str]] = {}
        for leaf, values in final.items():
            # Sizes are sorted, so that a transposed leaf is found under the same key.
            self._by_shape.setdefault(tuple(sorted(values.shape)), []).append(leaf)
        self.free = dict.fromkeys(final)

    def of_name(self, name: str) -> list[str]:
        """Return the free leaf of this name, in a list of one or none."""
        leaf = self._by_name.get(plain_name(name))
        return [leaf] if leaf is not None and leaf in self.free else []

    def of_shape(self, array: np.ndarray) -> list[str]:
        """Return the free leaves of this shape, in any order of axes."""
        return [leaf for leaf in self._by_shape.get(tuple(sorted(array.shape)), ()) if leaf in self.free]

    def find_exact(self, name: str, array: np.ndarray, candidates: Iterable[str]) -> LeafMatch | None:
        """Take the first of ``candidates`` that gives the array exactly."""
        for leaf in candidates:
            if match := match_exactly(name, array, leaf, self._final[leaf]):
                self.free.pop(leaf, None)
                return match
        return None

    def find_copy(self, name: str, array: np.ndarray) -> LeafMatch | None:
        """Find a leaf that another array took already: tied weights are often stored twice."""
        return self.find_exact(name, array, self._by_shape.get(tuple(sorted(array.shape)), ()))

    def find_nearest(self, name: str, array: np.ndarray) -> LeafMatch:
        """Take the leaf of this name if it has this shape, else the nearest of this shape."""
        candidates = self.of_shape(array)
        named = [leaf for leaf in self.of_name(name) if leaf in candidates]
        match = match_nearest(name, array, {leaf: self._final[leaf] for leaf in named or candidates})
        if match.leaf is not None:
            del self.free[match.leaf]
        return match


def _norm(parts: Iterator[float]) -> float:
    return math.sqrt(sum(part * part for part in parts))

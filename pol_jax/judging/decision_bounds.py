"""An entry is used only if it is near enough to a tie, and to this machine's own value (section 14.2 of the protocol).

The bound of a site is calibrated by whoever uses it: from what the site's values are under this machine's compilations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pol_jax.judging.tie_distances import TieDistance, tie_distances
from pol_jax.protocol.decision_entries import Entries, EntriesBySite
from pol_jax.protocol.ties import Observed, Tie

BOUND_FACTOR: Final = 1.0
"""The bound over the spread of this machine's own results. That is the largest of many elements; where a decision turns
over, the element of the prover's and the verifier's are on both sides of the tie, and much nearer than that."""

TYPICAL_FACTOR: Final = 16.0
"""The spread counts at most as this many times that of a typical element: a few noisy ones excuse no others."""

ENOUGH: Final = 16
"""This many elements show the spread of a site well; of fewer ones the bound is larger."""


@dataclass(frozen=True)
class NearTies:
    """Near ties are the elements of one site that are near a tie.

    Attributes:
        indices: places of the elements, ascending.
        values: this machine's own.
        distance: from the tie, as a share of the bound.
        gap: from the tie.
        crossing: 1 where an element must grow to turn its decision over, -1 where it must shrink.
        most: by how much it may grow or shrink.
    """

    indices: np.ndarray
    values: np.ndarray
    distance: np.ndarray
    gap: np.ndarray
    crossing: np.ndarray
    most: np.ndarray


OperandReader = Callable[[Observed], np.ndarray]
"""This function gives what one execution of a step showed of an operand: ``[executions, *shape]``."""


@dataclass(frozen=True)
class SiteBounds:
    """Site bounds are the bounds that were calibrated for one step, site by site.

    Attributes:
        bounds: by the place of the operand; 0 for one that is no site.
        exact: for each decision, where its observed operands tie exactly under every compilation: nothing is rounded.
        sites: the operands that are sites, by number.
        ties: the decisions.
    """

    bounds: dict[Observed, float]
    exact: Sequence[Sequence[np.ndarray]]
    sites: Sequence[Observed]
    ties: Sequence[Tie]

    def scaled(self, factor: float) -> SiteBounds:
        """Return the same with wider bounds."""
        return SiteBounds({at: factor * bound for at, bound in self.bounds.items()}, self.exact, self.sites, self.ties)

    def near(self, values: OperandReader) -> dict[int, NearTies]:
        """Return the elements of each site that are near a tie, in one execution of the step."""
        nearest, equal = dict[Observed, _Nearest](), list[tuple[Observed, Observed, np.ndarray]]()
        for tie, exact in zip(self.ties, self.exact, strict=True):
            for found, excluded in zip(tie_distances(tie, values), exact, strict=True):
                if found.operand not in nearest:
                    nearest[found.operand] = _Nearest(found.distance.shape, self.bounds[found.operand])
                # Both elements of a tie may be off, each by the bound of its own site (section 14.2).
                bound = found.share * self.bounds[found.operand]
                bound += 0.0 if found.other is None else self.bounds[found.other]
                # An operand that is no site, or that never differs here, has no bound: nothing of it is near a tie.
                if bound:
                    nearest[found.operand].add(found, excluded, bound)
                if found.other is not None and self.bounds[found.operand] and self.bounds[found.other]:
                    equal.append((found.operand, found.other, found.distance == 0))
        _link(nearest, equal)
        return {
            site: nearest[operand].near(values(operand))
            for site, operand in enumerate(self.sites)
            if operand in nearest
        }

    def bound(self, site: int) -> float:
        """Return by how much an entry of a site may differ from this machine's own value."""
        return self.bounds[self.sites[site]]

    def within(self, entries: EntriesBySite, values: OperandReader) -> dict[int, Entries]:
        """Return the entries whose value is within the bound of this machine's own, wherever the ties are."""
        kept = dict[int, Entries]()
        for site, each in entries.items():
            indices, given = each.indices, each.values
            own = values(self.sites[site]).reshape(-1)
            inside = indices < own.size
            off = np.abs(own[indices[inside]].astype(np.float64) - given[inside].astype(np.float64))
            ok = off <= self.bound(site)
            if ok.any():
                kept[site] = Entries(indices[inside][ok], given[inside][ok])
        return kept

    def usable(self, entries: EntriesBySite, values: OperandReader) -> dict[int, Entries]:
        """Return the entries that may be used: within the bound, where this machine's own value is near a tie too."""
        # Section 14.2: an entry must lie within the bound of the own value, and the own value near a tie. Without the
        # second condition a prover could move values that decide nothing, but are used in the step.
        near = self.near(values)
        kept = dict[int, Entries]()
        for site, each in self.within(entries, values).items():
            ok = np.isin(each.indices, near[site].indices) if site in near else np.zeros(len(each.indices), bool)
            if ok.any():
                kept[site] = Entries(each.indices[ok], each.values[ok])
        return kept


class Calibration:
    """A calibration collects what several executions of the same step showed, one after the other."""

    def __init__(self, sites: Sequence[Observed], ties: Sequence[Tie]) -> None:
        """Begin with nothing.

        Args:
            sites: operands that are sites, by number.
            ties: the decisions.
        """
        self._sites, self._ties = sites, ties
        self._low = dict[Observed, np.ndarray]()
        self._high = dict[Observed, np.ndarray]()
        self._exact: list[list[np.ndarray]] = []

    def add(self, values: OperandReader) -> None:
        """Add one more execution of the step."""
        for site in self._sites:
            own = values(site)
            if site in self._low:
                # In a loop, one compilation may end after fewer executions; the rest of the others has nothing beside
                # it.
                rows = min(len(own), len(self._low[site]))
                self._low[site] = np.minimum(self._low[site][:rows], own[:rows])
                self._high[site] = np.maximum(self._high[site][:rows], own[:rows])
            else:
                self._low[site] = self._high[site] = own
        exact = [[found.distance == 0 for found in tie_distances(tie, values)] for tie in self._ties]
        self._exact = [
            [_in_both(a, b) for a, b in zip(before, now, strict=True)]
            for before, now in zip(self._exact or exact, exact, strict=True)
        ]

    def bounds(self) -> SiteBounds:
        """Return the bounds that these executions give."""
        bounds = {operand: 0.0 for tie in self._ties for operand in _observed(tie)}
        bounds |= {site: BOUND_FACTOR * _spread(self._low[site], self._high[site]) for site in self._sites}
        return SiteBounds(bounds, self._exact, self._sites, self._ties)


def _spread(low: np.ndarray, high: np.ndarray) -> float:
    """Return how far one element of a site may be from one compilation to another."""
    with np.errstate(all="ignore"):
        spread = (high - low).ravel().astype(np.float64)
    spread = spread[np.isfinite(spread) & (spread > 0)]
    if not len(spread):
        return 0.0
    found = min(float(spread.max()), TYPICAL_FACTOR * float(np.median(spread)))
    return found * max(1.0, ENOUGH / len(spread))


class _Nearest:
    """This table holds the nearest of its ties for each element of an operand."""

    def __init__(self, shape: Sequence[int], most: float) -> None:
        self._distance, self._gap = np.full(shape, np.inf), np.zeros(shape)
        self._crossing, self._most = np.ones(shape, np.int8), np.full(shape, most)

    def add(self, found: TieDistance, excluded: np.ndarray, bound: float) -> None:
        """Add one more tie; ``excluded`` are the elements that no compilation moves away from it."""
        rows = min(len(excluded), len(found.distance))
        distance = np.full(found.distance.shape, np.inf)
        may = (found.distance[:rows] <= bound) & ~excluded[:rows]
        distance[:rows] = np.where(may, found.distance[:rows] / bound, np.inf)
        nearer = distance < self._distance
        self._distance = np.where(nearer, distance, self._distance)
        self._gap = np.where(nearer, found.distance, self._gap)
        self._crossing = np.where(nearer, found.crossing, self._crossing)

    def follow(self, other: _Nearest, equal: np.ndarray) -> bool:
        """Copy the ties of an equal operand for those elements that have none; return whether there were any."""
        # Shapes differ where a clamp has one number as its bound: no element has an equal one at its own place.
        if self._distance.shape != other._distance.shape:
            return False
        new = equal & np.isinf(self._distance) & np.isfinite(other._distance)
        most = np.minimum(self._most, other._most)
        for own, others in (
            (self._distance, other._distance),
            (self._gap, other._gap),
            (self._crossing, other._crossing),
            (self._most, most),
            (other._most, most),
        ):
            own[new] = others[new]
        return bool(new.any())

    def near(self, values: np.ndarray) -> NearTies:
        """Return the elements that have a tie."""
        indices = np.flatnonzero(np.isfinite(self._distance.ravel()))
        shown = (values, self._distance, self._gap, self._crossing, self._most)
        return NearTies(indices, *(each.ravel()[indices] for each in shown))


def _link(nearest: Mapping[Observed, _Nearest], equal: Sequence[tuple[Observed, Observed, np.ndarray]]) -> None:
    """Let operands that are compared and equal have each other's ties: they must stay equal, so one entry needs both.

    The gradient of a maximum asks which operand it is equal to; and the maximum may be compared with something else.
    """
    # Ties pass along chains of equal operands, one link a round. A list, since `any` of a generator would end at the
    # first pair that changes, and leave the others out of the round.
    while any([nearest[first].follow(nearest[second], where) for first, second, where in equal]):
        pass


def _in_both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    rows = min(len(a), len(b))
    both: np.ndarray = a[:rows] & b[:rows]
    return both


def _observed(tie: Tie) -> list[Observed]:
    operands = [getattr(tie, name) for name in ("first", "second", "operand") if hasattr(tie, name)]
    return [each for each in operands if isinstance(each, Observed)]

"""A comparison says how far committed steps are from this machine's results, where bits can't decide (section 14)."""

from __future__ import annotations

import math

import msgspec

from pol_jax.protocol.spans import Span
from pol_jax.reports.curves import NonNegative
from pol_jax.reports.outcomes import Outcome


class Room(msgspec.Struct, frozen=True):
    """A room says how far elements of a leaf could be off in a false comparison that passes (section 14.1).

    Attributes:
        magnitude: of the elements: the binary exponent of their values, divided by 4 and rounded down.
        size: Euclidean distance; None if it is not finite.
    """

    magnitude: int
    size: float | None


class UsedDecisions(msgspec.Struct, frozen=True):
    """Used decisions are what a comparison took of the prover's values near ties (section 14.2).

    Attributes:
        given: number of entries that the opening has for these steps.
        used: number of those that were used: this machine's own value was near a tie, and near the given one.
        farthest: largest distance from a tie, as a share of what is allowed, at which an entry was used.
        choices: how far near ties could have moved the state, if all of them had been chosen wrongly.
        unused: names an entry that was not used, and says why; None if all were used.
        share: what the used entries did of what all near ties could have done to a leaf, in the leaf where that is
            most; 1 if it is not finite.
        rooms: for each leaf of the state, how far near ties could have moved its elements of each magnitude.
    """

    given: NonNegative
    used: NonNegative
    farthest: float | None
    choices: float | None
    unused: str | None
    share: float = 1.0
    rooms: tuple[tuple[Room, ...], ...] = ()


class Compared(msgspec.Struct, frozen=True):
    """A comparison says how far committed steps are from this machine's results, if bits can't decide (section 14.1).

    Distances are Euclidean, over all floating-point leaves, unless stated otherwise. A number that is not finite is
    None.

    Attributes:
        start: the step of the state before; -1 for the comparison of the initial state, which has none.
        stop: the last step.
        outcome: passed within the tolerance, failed, or inconclusive.
        reasons: why, in at most 5 lines.
        update: distance between the committed states before and after.
        noise: largest distance between the results of two compilations on this machine.
        tolerance: the tolerance, calibrated from the noise.
        limit: the largest tolerance that decides, which is a small share of the update.
        error: distance between the committed state after and this machine's.
        l1: l1 distance of the same two states.
        linf: largest difference of an element.
        cosine: cosine distance.
        infinitesimal: whether the update can't be told from rounding.
        segments: the challenged segments among the steps; none for an opening.
        rooms: for each leaf of the state, in its order, how far its elements of each magnitude could be off in a false
            comparison that passes like this one, without wrong choices near ties; none where nothing is rounded. Empty
            if this one does not pass.
        decisions: what was taken of the prover's decisions; None if none were used, or without them it passes.
        equal: whether these steps were reproduced bit for bit, and are compared only because others were not: whether
            last places of the state before, which a prover could choose, decide where they lead.
    """

    start: int
    stop: NonNegative
    outcome: Outcome
    reasons: tuple[str, ...]
    update: float | None
    noise: float | None
    tolerance: float | None
    limit: float | None
    error: float | None
    l1: float | None
    linf: float | None
    cosine: float | None
    infinitesimal: bool
    segments: tuple[NonNegative, ...] = ()
    rooms: tuple[tuple[Room, ...], ...] = ()
    decisions: UsedDecisions | None = None
    equal: bool = False

    @property
    def span(self) -> Span:
        """Return the steps that were compared; a comparison of the initial state has none."""
        return Span(self.start, self.stop)

    @property
    def is_initial(self) -> bool:
        """Return whether this compares the initial state, to which no step leads."""
        return self.start < 0

    @property
    def passed(self) -> bool:
        """Return whether the error is within the tolerance."""
        return self.outcome is Outcome.PASSED

    def allowed(self, chosen: float = 1.0) -> float | None:
        """Return the largest error that passes although bits differ, with what wrong choices near ties could move.

        Args:
            chosen: share of these choices that counts.
        """
        if self.tolerance is None or self.limit is None:
            return None
        # Both bound the error of a step that passes (section 14.1, rule 1).
        if self.decisions is None:
            return min(self.tolerance, self.limit)
        choices = self.decisions.choices
        return None if choices is None else min(self.tolerance, self.limit) + chosen * choices

    @property
    def severity(self) -> tuple[int, float]:
        """Return a sort key that is greatest for failed comparisons, then inconclusive ones, then large errors."""
        ranks = (Outcome.NOT_REACHED, Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED)
        return ranks.index(self.outcome), self.relative(self.error)

    def relative(self, distance: float | None) -> float:
        """Return a distance as a share of the update; it is infinite if one is not finite, or only the update is 0."""
        if distance is None or self.update is None:
            return math.inf
        return distance / self.update if self.update else math.inf if distance else 0.0

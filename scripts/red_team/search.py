"""Hypothesis searches for the false step that goes farthest and passes: which step, leaf and elements, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings, target
from hypothesis import strategies as st

from pol_jax.attacks.steering import pushed
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.outcomes import Outcome
from pol_jax.verifying.calibration import judge_span
from red_team.honest_run import HonestRun, Place

Part = Literal["leaf", "element", "small elements", "last places"]

PARTS: Final[tuple[Part, ...]] = ("leaf", "element", "small elements", "last places")
"""What a push moves: a whole leaf, one element, those far below the largest, or all of a leaf by last places."""

WEAKEST: Final = -9.0
"""A push is no less than 10 to this power, as a share of its leaf's update."""

SMALL: Final = 16
"""Small elements are less than the largest over this."""


@dataclass(frozen=True)
class Push:
    """A false step.

    Attributes:
        step: from which place of the run.
        leaf: which floating-point leaf of the state, by its place.
        part: what of it is moved.
        element: decides which element, or the direction.
        power: the push is 10 to this power, as a share of the leaf's update.
    """

    step: int
    leaf: int
    part: Part
    element: int
    power: float

    def apply(self, place: Place) -> HostLeaves:
        """Return the state after the false step."""
        found, share = list(place.honest), 10.0**self.power
        before, honest = place.before[self.leaf], place.honest[self.leaf]
        draw = np.random.default_rng(self.element)
        if self.part == "last places":
            units = share * 10.0**-WEAKEST / 2**10
            return pushed(found, place.honest_run.target, (self.leaf,), units, draw)
        wide = honest.astype(np.float64)
        length = share * float(np.linalg.norm((wide - before.astype(np.float64)).ravel()))
        direction = self._chosen(wide) * draw.choice((-1.0, 1.0), honest.shape)
        norm = float(np.linalg.norm(direction.ravel()))
        found[self.leaf] = (wide + (length / norm if norm else 0.0) * direction).astype(honest.dtype)
        return found

    def _chosen(self, leaf: np.ndarray) -> np.ndarray:
        if self.part == "element":
            alone = np.zeros(leaf.shape)
            alone.reshape(-1)[self.element % leaf.size] = 1.0
            return alone
        if self.part == "small elements":
            return np.where(np.abs(leaf) * SMALL < np.abs(leaf).max(initial=0.0), 1.0, 0.0)
        return np.ones(leaf.shape)


@dataclass(frozen=True)
class Strongest:
    """The strongest push that passed.

    Attributes:
        gain: its length over that of the honest update of the whole state; 0 if none passed that moved anything.
        push: which it is; None if none passed.
        tried: how many pushes moved anything.
        passed: how many of them passed.
    """

    gain: float = 0.0
    push: Push | None = None
    tried: int = 0
    passed: int = 0


def search(honest_run: HonestRun, examples: int, number: int = 0) -> Strongest:
    """Search with so many examples, from a seed; Hypothesis is told how far each passing push goes."""
    best, places = Strongest(), {step: honest_run.at(step) for step in honest_run.states}
    floating = [at for at, leaf in enumerate(honest_run.spec) if leaf.dtype in ("float32", "float64")]

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.target),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.builds(
            Push,
            st.sampled_from(sorted(places)),
            st.sampled_from(floating),
            st.sampled_from(PARTS),
            st.integers(0, 2**20),
            st.floats(WEAKEST, 0.0),
        )
    )
    def push_once(push: Push) -> None:
        nonlocal best
        gain, passed = judge_push(places[push.step], push)
        if gain:
            farthest = best if not passed or gain <= best.gain else Strongest(gain, push)
            best = Strongest(farthest.gain, farthest.push, best.tried + 1, best.passed + passed)
            target(float(np.log10(gain)) if passed else 2 * WEAKEST)

    push_once()
    return best


def judge_push(place: Place, push: Push) -> tuple[float, bool]:
    """Return how far a push leads, as a share of the honest update, and whether the verifier lets it pass."""
    after = push.apply(place)
    update, off = (_length(place, place.before), _length(place, after))
    if not off:
        return 0.0, False
    found = judge_span(place.honest_run.made, place.before, after, [place.inputs])
    return off / update if update else float("inf"), found.outcome is Outcome.PASSED


def _length(place: Place, other: HostLeaves) -> float:
    """Return the distance of a state from the honest one after the step, over the leaves that are searched."""
    wide = [
        np.linalg.norm((a.astype(np.float64) - b.astype(np.float64)).ravel())
        for leaf, a, b in zip(place.honest_run.spec, place.honest, other, strict=True)
        if leaf.dtype in ("float32", "float64")
    ]
    return float(np.sqrt(np.sum(np.square(wide))))

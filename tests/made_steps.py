"""Made-up steps: states before and after, and what several compilations give for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pol_jax.judging.step_results import StepResults
from pol_jax.judging.tolerance import StepComparison, judge_step
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.reports.outcomes import Outcome

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE


State = list[np.ndarray]


def spec_of(*dtypes: str, size: int = 50) -> tuple[LeafSpec, ...]:
    return tuple(LeafSpec(f"/{at}", dtype, (size,), (1,), None) for at, dtype in enumerate(dtypes))


@dataclass
class Step:
    """A made-up step: leaves of normal values, an update, and results that are off by noise."""

    before: State
    reference: State
    others: list[State]
    after: State
    spec: tuple[LeafSpec, ...]

    def compared(self, **changes: Any) -> StepComparison:
        return replace(self, **changes).judged()

    def judged(self, *, noise_dominated: set[int] | None = None, **perturbed: Any) -> StepComparison:
        """Judge the step, with results from perturbed states as `StepResults` names them."""
        results = StepResults(
            before=self.before, after=self.after, reference=self.reference, others=self.others, **perturbed
        )
        return judge_step(self.spec, results, noise_dominated=noise_dominated)


def made(
    *, noise: float = 1e-6, update: float = 0.1, dtypes: tuple[str, ...] = ("float64",) * 3, seed: int = 0
) -> Step:
    draw, spec = np.random.default_rng(seed), spec_of(*dtypes)

    def normal() -> State:
        return [draw.normal(size=leaf.shape) for leaf in spec]

    def cast(state: State) -> State:
        with np.errstate(over="ignore"):  # a state may be lost
            return [array.astype(DTYPES[leaf.dtype]) for leaf, array in zip(spec, state, strict=True)]

    before = normal()
    exact = [a + update * b for a, b in zip(before, normal(), strict=True)]
    results = [cast([a + update * noise * b for a, b in zip(exact, normal(), strict=True)]) for _ in range(4)]
    return Step(cast(before), results[0], results[1:3], results[3], spec)


def with_leaf(state: State, at: int, leaf: np.ndarray) -> State:
    return [leaf if i == at else old for i, old in enumerate(state)]

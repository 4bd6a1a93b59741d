"""An initial state is judged as a step from zeros to it, without the leaves that were taken over."""

from __future__ import annotations

import numpy as np
import pytest
from made_documents import made_commitment, made_program

from pol_jax.errors import BackendError
from pol_jax.judging.tolerance import StepComparison
from pol_jax.program.artifact import Program
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.outcomes import Outcome
from pol_jax.verifying import initial_comparison
from pol_jax.verifying.compilations import Variant, variants
from pol_jax.verifying.initial_comparison import judge_initial_state

SPEC = tuple(LeafSpec(f"/{name}", "float32", (50,), (1,), None) for name in "ab")
DRAWN = [np.random.default_rng(seed).normal(size=50).astype(np.float32) for seed in range(2)]
LAST_PLACE = np.float32(2**-23)


def judged(
    monkeypatch: pytest.MonkeyPatch, *after: np.ndarray, taken: tuple[int, ...] = (), refused: int = 0
) -> StepComparison:
    """Judge a state, where compilations are off by up to a last place, and so many of them are refused."""

    def initial_state(_program: Program, _key: np.ndarray, variant: Variant) -> list[np.ndarray]:
        at = [each.name for each in known].index(variant.name)
        if 0 < at <= refused:
            raise BackendError("the compiler refuses an option")
        return [leaf * (1 + (at % 2) * LAST_PLACE) for leaf in DRAWN]

    known = variants()
    monkeypatch.setattr(initial_comparison, "initial_state", initial_state)
    program = made_program(made_commitment(state=SPEC))
    return judge_initial_state(program, np.zeros(2, np.uint32), after, taken)


def test_a_state_that_is_off_by_rounding_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, *(leaf * (1 - LAST_PLACE) for leaf in DRAWN)).outcome is Outcome.PASSED


def test_another_state_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, DRAWN[0], DRAWN[1] * np.float32(1.01))
    assert found.outcome is Outcome.FAILED
    assert [each.outcome for each in found.leaves] == [Outcome.PASSED, Outcome.FAILED]


def test_leaves_that_were_taken_over_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, DRAWN[0], np.zeros(50, np.float32), taken=(1,))
    assert (found.outcome, len(found.leaves)) == (Outcome.PASSED, 1)


def test_too_few_compilations_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = len(variants())
    after = [leaf * (1 - LAST_PLACE) for leaf in DRAWN]
    assert judged(monkeypatch, *after, refused=everywhere).outcome is Outcome.INCONCLUSIVE

"""The prover's decisions near ties: found by what training came to, and left out where they can't be told."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from decided_steps import decided
from made_documents import made_commitment, made_program

from pol_jax.errors import BackendError
from pol_jax.proving.decision_log import LONGEST_SPAN, DecisionLog
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying import compilations
from pol_jax.verifying.observed_steps import MIN_VARIANTS, ObservedSteps

GIVEN = StepInput(1, np.zeros(2, np.uint32), np.zeros(1, np.uint64), ())


def rectified(z: jax.Array) -> jax.Array:
    return jax.nn.relu(z)


class Broken(ObservedSteps):
    """Steps that this machine can't execute."""

    def __init__(self, variants: int) -> None:
        self.variants = compilations.variants()[:variants]

    def observe(self, *_: Any) -> Any:
        """Fail."""
        raise BackendError("no room")


def test_an_opening_without_decisions_says_why() -> None:
    """It is worth something without."""
    program = made_program(made_commitment())
    for steps, inputs, words in (
        (None, [GIVEN] * (LONGEST_SPAN + 1), f"spans of more than {LONGEST_SPAN} steps have no decisions"),
        (Broken(MIN_VARIANTS - 1), [GIVEN], "too few compilations"),
        (Broken(MIN_VARIANTS), [GIVEN], "no room"),
    ):
        log = DecisionLog(program, steps)
        assert log.write([], [], inputs) == []
        assert words in (log.missing or "")


def test_a_step_passes_whose_instrumented_program_decides_otherwise_than_the_trained_one() -> None:
    """What is shown is computed in other last bits, so the prover has to find what was decided in training."""
    step = decided(rectified, "default", 1)
    assert step.plain().outcome is Outcome.INCONCLUSIVE
    assert step.decided()[0].outcome is Outcome.PASSED

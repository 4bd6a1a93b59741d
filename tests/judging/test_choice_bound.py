"""What a draw shows of a prover's choices near ties: nobody gains more than is counted, and honest runs pay little."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.judging.choice_bound import mean_choice, upper_bound

STEPS, DRAWN, CONFIDENCE = 400, 60, 0.9
Prover = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]

PROVERS: dict[str, Prover] = {
    "all in every step": lambda draw: (np.ones(STEPS), np.ones(STEPS)),
    "all in a tenth": lambda draw: (np.ones(STEPS), (np.arange(STEPS) < STEPS // 10) * 1.0),
    "all in one of a hundred": lambda draw: (np.ones(STEPS), (np.arange(STEPS) < STEPS // 100) * 1.0),
    "a little in all": lambda draw: (np.ones(STEPS), np.full(STEPS, 0.03)),
    "all where ties move far": lambda draw: (far := np.where(np.arange(STEPS) < 20, 100.0, 1.0), (far > 1) * 1.0),
    "all but where ties move far": lambda draw: (
        far := np.where(np.arange(STEPS) < 20, 100.0, 1.0),
        (far == 1) * 1.0,
    ),
    "by heavy tails": lambda draw: (draw.pareto(1.2, STEPS), draw.random(STEPS)),
    "most where most can be moved": lambda draw: (far := draw.pareto(1.2, STEPS), far / far.max()),
}


@pytest.mark.parametrize("name", PROVERS)
def test_no_prover_gains_more_than_is_counted(name: str) -> None:
    """The two statements of the module hold in as many draws as the confidence says, however choices are spread."""
    chance = np.random.default_rng(7)
    could, shares = PROVERS[name](chance)
    did, few = could * shares, 1 - (1 - CONFIDENCE) ** (1 / DRAWN)
    trials, missed_few, missed_mean = 400, 0, 0
    for _ in range(trials):
        at = chance.choice(STEPS, DRAWN, replace=False)
        most = float(could[at].max())
        counted = mean_choice(did[at].tolist(), most, DRAWN, CONFIDENCE)
        missed_few += (did > most).mean() >= few
        missed_mean += np.minimum(did, most).mean() > counted * (1 + 1e-9)
    allowed = trials * (1 - CONFIDENCE) + 3 * math.sqrt(trials * CONFIDENCE * (1 - CONFIDENCE))
    assert missed_few <= allowed
    assert missed_mean <= allowed


def test_an_honest_run_pays_for_the_size_of_the_draw_alone() -> None:
    few = 1 - (1 - CONFIDENCE) ** (1 / DRAWN)
    assert mean_choice([], 2.0, DRAWN, CONFIDENCE) == pytest.approx(2.0 * few)
    assert mean_choice([0.0] * 5, 2.0, DRAWN, CONFIDENCE) == pytest.approx(2.0 * few)
    assert mean_choice([0.1], 2.0, DRAWN, CONFIDENCE) < 2.0 * (few + 0.01)
    assert mean_choice([], 0.0, DRAWN, CONFIDENCE) == 0


@given(
    moved=st.lists(st.floats(0, 1), max_size=20), most=st.floats(1, 1e6), more=st.floats(1, 9), C=st.floats(0.5, 0.99)
)
def test_the_bound_grows_with_what_was_done_and_could_have_been_done(
    moved: list[float], most: float, more: float, C: float
) -> None:
    counted = mean_choice(moved, most, 20, C)
    assert sum(moved) / 20 * (1 - 1e-9) <= counted <= most
    assert mean_choice(moved, most * more, 20, C) >= counted * (1 - 1e-9)
    assert mean_choice([*moved[:19], 1.0], most, 20, C) >= mean_choice(moved[:19], most, 20, C)
    assert mean_choice(moved, most, 20, 1.0) == most
    assert mean_choice(moved, math.inf, 20, C) == math.inf


def test_the_bound_of_nothing_seen_is_what_a_draw_may_miss() -> None:
    assert upper_bound(0.0, math.log(100) / 90) == pytest.approx(1 - 0.01 ** (1 / 90))
    assert upper_bound(1.0, 0.1) == 1

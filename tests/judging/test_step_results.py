"""Each leaf of a step has its own arrays, and each of them in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pol_jax.judging.step_results import StepResults


def state(number: int) -> list[np.ndarray]:
    """A state of two leaves that no other state has."""
    return [np.array([number]), np.array([-number])]


def test_a_leaf_has_the_results_of_its_place() -> None:
    results = StepResults(
        before=state(1),
        after=state(2),
        reference=state(3),
        others=[state(4), state(5)],
        perturbed=[state(6)],
        rounded=1,
        nudged=[state(7)],
        scattered=[state(8)],
    )
    for at, sign in ((0, 1), (1, -1)):
        leaf = results.leaf(at)
        single = (leaf.before, leaf.after, leaf.reference)
        several = (leaf.others, leaf.perturbed, leaf.nudged, leaf.scattered)
        assert [int(sign * each[0]) for each in single] == [1, 2, 3]
        assert [[int(sign * each[0]) for each in arrays] for arrays in several] == [[4, 5], [6], [7], [8]]
        assert leaf.rounded == 1


def test_states_are_given_by_name_alone() -> None:
    """They are all of one form: in each other's place, nothing else would notice."""
    untyped: Any = StepResults
    with pytest.raises(TypeError):
        untyped(state(1), state(2), state(3), [])

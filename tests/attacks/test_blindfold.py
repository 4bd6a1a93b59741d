"""A poisoned step climbs the loss: it goes as far as a true one, the other way."""

from __future__ import annotations

import numpy as np
import pytest
from made_programs import given, stepping

from pol_jax.attacks.blindfold import poison


@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_a_poisoned_step_goes_backwards(strength: float) -> None:
    before, program = [np.array([1, 2, 3], np.float32)], stepping(lambda w, batch: w - 0.5 * batch)
    (after,) = poison(program, before, given(1, 2, 4, 8), (0,), strength)
    np.testing.assert_array_equal(after, before[0] + np.float32(strength) * np.array([1, 2, 4], np.float32))
    assert after.dtype == np.float32


def test_leaves_that_are_no_parameters_are_the_true_ones() -> None:
    before, program = [np.array([1, 2, 3], np.float32)], stepping(lambda w, batch: w - batch)
    (after,) = poison(program, before, given(1, 1, 1, 1), (), 1.0)
    np.testing.assert_array_equal(after, before[0] - 1)

"""Of several batches, the one is chosen that leads nearest to where the forger wants."""

from __future__ import annotations

import numpy as np
from made_programs import given, stepping

from pol_jax.attacks.chosen_batches import nearest


def test_the_nearest_of_several_batches_is_chosen() -> None:
    program, before = stepping(lambda w, batch: w + batch), [np.zeros(3, np.float32)]
    tried = [given(1, 9, 0, 0), given(1, 1, 1, 0), given(1, -1, -1, 0)]
    state, metrics, inputs = nearest(program, before, [np.array([1, 1, 1], np.float32)], tried, (0,))
    assert inputs is tried[1]
    np.testing.assert_array_equal(state[0], [1, 1, 0])
    assert [float(metric) for metric in metrics] == [0, 0]

"""Of several batches, the one is chosen that leads nearest to where the forger wants."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from made_programs import given, stepping

from pol_jax.attacks.attack import Setting
from pol_jax.attacks.catalogue import attack_named
from pol_jax.attacks.chosen_batches import nearest


def test_the_nearest_of_several_batches_is_chosen() -> None:
    program, before = stepping(lambda w, batch: w + batch), [np.zeros(3, np.float32)]
    tried = [given(1, 9, 0, 0), given(1, 1, 1, 0), given(1, -1, -1, 0)]
    state, metrics, inputs = nearest(program, before, [np.array([1, 1, 1], np.float32)], tried, (0,))
    assert inputs is tried[1]
    np.testing.assert_array_equal(state[0], [1, 1, 0])
    assert [float(metric) for metric in metrics] == [0, 0]


def test_forged_batches_are_false_where_the_states_are_the_victim_s(setting: Setting, tmp_path: Path) -> None:
    """Every other step is what the program gives for the batch that the forger shows."""
    forged = attack_named("forged-batches").forge(setting, tmp_path / "forged")
    found, program = forged.transcript, setting.victim.program()
    assert found is not None
    false_steps = []
    for at, inputs in enumerate(found.inputs):
        new, _ = program.step(tuple(jnp.array(leaf) for leaf in found.states[at]), inputs.batch, inputs.key)
        if any(np.asarray(a).tobytes() != b.tobytes() for a, b in zip(new, found.states[at + 1], strict=True)):
            false_steps.append(at + 1)
    assert tuple(false_steps) == forged.false_steps

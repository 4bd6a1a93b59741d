"""A step back from a state: a true step leads forward again."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from made_programs import given, stepping

from pol_jax.attacks.attack import Setting
from pol_jax.attacks.catalogue import attack_named
from pol_jax.attacks.retraining import step_before


@pytest.mark.parametrize("iterations", [1, 6, 30])
def test_a_fixed_point_is_nearer_with_each_iteration(iterations: int) -> None:
    program, after = stepping(lambda w, batch: w - 0.25 * (w - batch)), [np.array([1, 2, 3], np.float32)]
    (before,) = step_before(program, after, given(1, 0, 0, 1), iterations)
    true = (after[0] - 0.25 * np.array([0, 0, 1])) / 0.75
    off = np.abs(before - true).max()
    assert 0.2 * 0.25**iterations < off + 1e-6 < 5 * 0.25**iterations + 2e-6


def test_a_step_back_leads_forward_again(setting: Setting, tmp_path: Path) -> None:
    forged = attack_named("inverse-gradient").forge(setting, tmp_path / "forged")
    assert forged.transcript is not None
    program, after = setting.victim.program(), forged.transcript.states
    last = forged.transcript.inputs[-1]
    new, _ = program.step(tuple(jnp.array(leaf) for leaf in after[-2]), last.batch, last.key)
    for made, told, before in zip(map(np.asarray, new), after[-1], after[-2], strict=True):
        assert np.linalg.norm(made - told) < 1e-3 * np.linalg.norm(told - before)

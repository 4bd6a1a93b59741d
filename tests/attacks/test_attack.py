"""What a forger has: steps to falsify, a line that is long enough, and leaves that an attack needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from pol_jax.attacks.attack import Setting, needed, of_length
from pol_jax.attacks.transcript import parameters_of, state_distance
from pol_jax.errors import UsageError
from pol_jax.storage.proof import open_proof


@pytest.fixture
def setting(plain_proof: Path) -> Setting:
    return Setting(open_proof(plain_proof), tiny.plain(), 1, 0.5)


def test_a_setting_is_the_victim_s(setting: Setting) -> None:
    assert (setting.steps, setting.interval) == (tiny.STEPS, tiny.INTERVAL)
    for leaf, spec in zip(setting.target, setting.spec, strict=True):
        assert leaf.shape == spec.shape
    assert any((a != b).any() for a, b in zip(setting.target, setting.beginning, strict=True))
    assert setting.chance.integers(2**62) == setting.chance.integers(2**62), "the same forger draws the same"
    assert setting.named(", child") == "forger 1, child"


def test_one_false_step_is_one_of_each_segment_where_many_trials_are_asked_for(setting: Setting) -> None:
    often = replace(setting, often=True)
    assert (setting.places_for_one(9), setting.true_steps) == ((9,), 0)
    assert (often.places_for_one(9), often.true_steps) == ((9, 15, 21), 6)
    assert often.places_for_one(24) == (12, 18, 24)


def test_no_piece_of_a_line_is_longer_than_half_the_slack(setting: Setting) -> None:
    length = state_distance(setting.spec, setting.beginning, setting.target, parameters_of(setting.spec))
    for slack in (length / 7, length / 100):
        steps = replace(setting, slack=slack).steps_of_line(setting.beginning)
        assert steps % tiny.INTERVAL == 0
        pieces = steps // tiny.INTERVAL
        assert length / pieces <= slack / 2 * (1 + 1e-9) < length / (pieces - 1)
    assert replace(setting, slack=100 * length).steps_of_line(setting.beginning) == tiny.STEPS
    assert replace(setting, slack=0.0).steps_of_line(setting.beginning) == tiny.STEPS


def test_an_attack_says_what_a_task_lacks() -> None:
    assert needed((3,), "a momentum") == (3,)
    with pytest.raises(UsageError, match="this attack needs a momentum, and the task has none"):
        needed((), "a momentum")
    task = of_length(tiny.plain(), 7)
    assert (task.steps, task.step, task.interval) == (7, tiny.plain().step, tiny.INTERVAL)

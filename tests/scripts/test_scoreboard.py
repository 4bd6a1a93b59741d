"""The scoreboard: what a line says, and how often draws miss beside what is announced."""

from __future__ import annotations

import attacked
import pytest
import scoreboard
from red_team.modes import MODES, Judged, judge
from red_team.sampling import miss_rate

from pol_jax import Choices, RandomSegments, train
from pol_jax.attacks.attack import Attack, Forged, Setting
from pol_jax.attacks.catalogue import attack_named

STEPS = 100


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Forged:
    folder, task = tmp_path_factory.mktemp("poisoned"), attacked.sgd(steps=STEPS)
    victim = train(task, folder / "victim", choices=Choices(witness_interval=1))
    return attack_named("poisoned-step").forge(Setting(victim, task, 1, 1.0), folder / "forged")


@pytest.mark.parametrize("mode", ["bits", "bundle"])
def test_a_mode_says_the_stage_and_the_reason(poisoned: Forged, mode: str) -> None:
    found = judge(poisoned, poisoned.task, mode)
    assert (found.verdict, found.stage) == ("rejected", 9)
    assert f"step {poisoned.false_steps[0]}" in found.reason


def test_draws_miss_one_false_segment_as_often_as_is_announced(poisoned: Forged) -> None:
    found = miss_rate(poisoned, RandomSegments(confidence=0.5, fraction=0.2), 2000)
    assert (found.segments, found.false, found.drawn) == (10, 1, 3)
    assert found.announced == pytest.approx(0.7)
    assert abs(found.missed / found.draws - found.announced) < 0.05
    assert found.low < found.missed / found.draws < found.high


def line(attack: Attack, verdict: str, gain: float | None = None) -> scoreboard.Line:
    made = scoreboard.Line(attack, "a task", ["accepted", "too far"], costs=[0.5, 1.5])
    made.ours = {mode: [Judged("rejected", 9, "step 3 differs"), Judged(verdict, 0, "")] for mode in MODES}
    made.gains = [] if gain is None else [gain]
    return made


def test_a_line_counts_verdicts_and_says_what_succeeds() -> None:
    promised, open_to = attack_named("steering"), attack_named("seed-grinding")
    cells = line(promised, "rejected").cells()
    assert cells[:2] == ["steering", "accepted 1/2"]
    assert cells[2] == "rejected (9) 1, rejected 1"
    assert not line(promised, "rejected").succeeds
    assert line(promised, "accepted").succeeds
    assert line(promised, "accepted", gain=0.2).succeeds
    assert not line(promised, "accepted", gain=1e-6).succeeds, "within what is allowed"
    assert not line(open_to, "accepted").succeeds

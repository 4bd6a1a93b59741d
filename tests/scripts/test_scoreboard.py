"""The scoreboard: what trials count, how often draws miss beside what is announced, and what its tables say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import attacked
import pytest
from places import ROOT
from red_team import trials
from red_team.document import row_of, succeeds, with_tables
from red_team.modes import MODES, Judged, judge
from red_team.sampling import count_missed
from red_team.shared import shared
from red_team.tally import Missed, Results, Tally, load, save
from red_team.trials import BEFORE_REPLAY, LARGER, WHOLE, Extent, Victim, try_all, try_once

from pol_jax import Choices, RandomSegments, train
from pol_jax.attacks.attack import Forged, Setting
from pol_jax.attacks.catalogue import attack_named
from pol_jax.attacks.paper_rule import PUBLISHED

STEPS = 100


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    task = attacked.sgd(steps=STEPS)
    with shared():
        proof = train(task, tmp_path_factory.mktemp("victim") / "proof", choices=Choices(witness_interval=1))
        yield Victim(task, proof, 1 / PUBLISHED.slack)


@pytest.fixture(scope="module")
def poisoned(victim: Victim, tmp_path_factory: pytest.TempPathFactory) -> Forged:
    place = tmp_path_factory.mktemp("poisoned") / "forged"
    return attack_named("poisoned-step").forge(Setting(victim.proof, victim.task, 1, 1.0), place)


def test_a_mode_says_the_stage_the_reason_and_which_part_was_caught(poisoned: Forged) -> None:
    said = judge(poisoned, poisoned.task, ("bits", "tolerance", "bundle"))
    (step,) = poisoned.false_steps
    for mode, found in said.items():
        assert (found.verdict, found.stage, found.parts, found.passed) == ("rejected", 9, 1, 0), mode
    assert f"step {step}" in said["bits"].reason
    assert said["tolerance"].caught == {(step - 1) // 10}
    assert said["bundle"].caught == {step}


def test_draws_miss_one_false_segment_as_often_as_is_announced(poisoned: Forged) -> None:
    caught = {(step - 1) // 10 for step in poisoned.false_steps}
    found = count_missed(poisoned, RandomSegments(confidence=0.5, fraction=0.2), 2000, caught)
    assert found.expected == pytest.approx(0.7), "3 of 10 segments are drawn"
    assert found.agrees
    more = count_missed(poisoned, RandomSegments(confidence=0.5, fraction=0.2), 10, (), found)
    assert (more.draws, more.missed) == (2010, found.missed + 10), "a draw misses where a replay refuses nothing"


def test_an_announced_probability_outside_of_the_interval_is_none() -> None:
    assert Missed(1000, 700, 700.0).agrees
    assert not Missed(1000, 800, 700.0).agrees
    assert Missed(10, 0, 0.0).agrees


def test_a_trial_forges_anew_and_counts(victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MODES", ("bits",))  # all of them are tried by the script
    tallies, told = dict[str, Tally](), list[int]()
    attacks = [attack_named("chosen-order"), attack_named("low-precision-leaves")]
    extent = Extent(parts=2 * STEPS, forgers=2, modes=("bits",))
    try_all(attacks, tallies, [victim], tmp_path, PUBLISHED, extent, lambda tally: told.append(tally.trials))
    found, without = tallies["chosen-order"], tallies["low-precision-leaves"]
    assert (found.trials, found.paper, found.cost) == (2, {"accepted": 2}, 10.0)
    bits = found.mode("bits")
    assert (bits.verdicts, bits.passed) == ({"rejected (5)": 2}, 0)
    assert bits.parts == 2 * STEPS, "each row alone has other records than the commitment gives"
    assert (without.trials, without.task) == (0, ""), "no task here has what it needs"
    assert told == [1, 2]
    assert not list(tmp_path.iterdir())
    extent = replace(extent, parts=3 * STEPS, forgers=3)
    try_all(attacks[:1], tallies, [victim], tmp_path, PUBLISHED, extent, lambda tally: told.append(tally.trials))
    assert told == [1, 2, 3], "a run goes on"


def test_where_no_trial_came_to_a_replay_two_modes_go_on() -> None:
    early, late = Tally("x", trials=WHOLE), Tally("x", trials=WHOLE)
    for mode in MODES:
        early.mode(mode).add(Judged("rejected", 5, ""))
        late.mode(mode).add(Judged("rejected", 9, ""))
    extent = Extent(parts=2)
    assert extent.modes_of(early) == BEFORE_REPLAY
    assert tuple(extent.modes_of(late)) == MODES
    assert Extent(parts=1).is_done(early)
    assert not extent.is_done(late)
    assert replace(extent, forgers=WHOLE).is_done(late)
    assert LARGER.modes_of(late) == ("bits",), "what takes long is judged in every mode once"


def test_of_a_later_proof_some_false_segments_are_compared_and_no_other(victim: Victim, tmp_path: Path) -> None:
    """A replay judges each by itself; what needs one false step has one in every segment, if so many are wanted."""
    setting = Setting(victim.proof, victim.task, 1, 1.0, often=True)
    forged = attack_named("poisoned-step").forge(setting, tmp_path / "forged")
    assert len(forged.false_steps) == STEPS // 10 - 1, "the first segment shows that bits decide here"
    assert len({step % 10 for step in forged.false_steps}) == 1
    found = judge(forged, victim.task, ("bits", "tolerance"), 1)
    assert {mode: (each.parts, each.passed) for mode, each in found.items()} == {"bits": (9, 0), "tolerance": (1, 0)}
    assert found["tolerance"].caught < found["bits"].caught


def test_draws_miss_what_is_false_in_an_earlier_proof_as_often_as_is_announced(victim: Victim, tmp_path: Path) -> None:
    tally = Tally("laundered-step")
    try_once(attack_named("laundered-step"), [victim], tmp_path, PUBLISHED, Extent(), tally)
    assert tally.mode("bits").verdicts == {"rejected (7)": 1}
    assert tally.mode("bundle").verdicts == {"inconclusive (7)": 1}, "no opening shows an earlier proof"
    assert tally.sampled is not None
    assert tally.sampled.expected == pytest.approx(0.4), "6 of the earlier proof's 10 segments are drawn"
    assert tally.sampled.agrees


def tally(name: str, verdict: str, gain: float | None = None) -> Tally:
    made = Tally(name, "a task", 2, {"accepted": 1, "refused": 1}, cost=2.0, gain=gain)
    for mode in MODES:
        for judged in (Judged("rejected", 9, "step 3 differs", 4, 0), Judged(verdict, 0, "", 1, 1)):
            made.mode(mode).add(judged)
    return made


def test_a_row_counts_verdicts_and_parts_and_says_what_succeeds() -> None:
    cells = row_of(tally("steering", "inconclusive"))
    assert cells[:2] == ["steering", "accepted 1/2"]
    assert cells[2] == "rejected (9) 1, inconclusive 1; 1/5"
    assert row_of(tally("steering", "accepted"))[0] == "**steering**"
    assert succeeds(tally("steering", "accepted", gain=0.2))
    assert not succeeds(tally("steering", "accepted", gain=1e-6)), "within what is allowed"
    assert not succeeds(tally("seed-grinding", "accepted"))


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = Results({"steering": tally("steering", "accepted", 1e-6)}, honest={"a task": {"bits: accepted": 3}})
    save(tmp_path / "results.json", results)
    assert load(tmp_path / "results.json") == results
    assert load(tmp_path / "none.json") == Results()


def test_the_document_has_the_tables_of_the_results() -> None:
    text = (ROOT / "docs" / "attacks.md").read_text()
    assert text == with_tables(text, load(ROOT / "docs" / "attacks.json"))
    assert text.count("<!-- table: ") == text.count("<!-- end -->") == 7

"""The comparison of aggregations: parts of the data that differ, and a table that names what proofs let in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

import byzantine
from federation import linear, records
from untrusted import elsewhere
from untrusted.aggregation import aggregations
from untrusted.behaviours import BYZANTINE, honest
from untrusted.elsewhere import work
from untrusted.federation import Outcome, Setting, non_iid
from untrusted.settings import SETTINGS
from untrusted.tables import ALONE, PROVEN, Found, costs, elsewhere_table, table, verdicts

SMALL = Setting(workers=4, rounds=1, steps=12, batch_size=4, interval=4, classes=2, share=0.25)


def test_workers_have_a_few_classes_each() -> None:
    setting = SETTINGS["digits"]
    everything = {"label": np.arange(400) % 10, "x": np.arange(400.0)}
    parts = non_iid(everything, setting, seed=1)
    assert len(parts) == setting.workers
    for worker, part in enumerate(parts):
        assert set(part["label"]) == {(3 * worker + step) % 10 for step in range(setting.classes)}
        assert len(part["label"]) == len(part["x"]) == 40
        assert np.array_equal(part["x"] % 10, part["label"])


def test_flower_s_strategies_aggregate_by_themselves() -> None:
    model = {"params": {"w": np.zeros(3, np.float32)}}
    updates = [{"params": {"w": np.full(3, value, np.float32)}} for value in (1, 1, 1, 1, 100)]
    found = {name: aggregate(updates, model)["params"]["w"] for name, aggregate in aggregations(1, 5).items()}
    assert {name: leaf.dtype.name for name, leaf in found.items()} == dict.fromkeys(found, "float32")
    assert {name: float(leaf[0]) for name, leaf in found.items() if name != "Bulyan"} == {
        "average": pytest.approx(20.8),
        "Krum": 1,
        "trimmed mean": 1,
    }


def test_every_behaviour_has_its_turn() -> None:
    setting = SETTINGS["digits"]
    rounds = [byzantine.cast(setting.workers, 8, number) for number in range(setting.rounds)]
    assert all([behave for _, behave in each[:2]] == [honest, honest] for each in rounds)
    assert {name for each in rounds for name, _ in each[2:]} == set(BYZANTINE)


@pytest.mark.usefixtures("in_process")
def test_what_is_proven_is_the_average_of_the_honest_workers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit; and a second run takes what the first one left."""
    task = replace(linear(), evaluate=lambda state: {"test accuracy": float(np.sum(state["params"]["w"]))})
    monkeypatch.setattr(byzantine, "task_named", lambda *_: (task, records(0)))
    found: Found = byzantine.compare("linear", SMALL, [2], None, tmp_path)
    proven = found[2][PROVEN]
    assert proven.accuracy == found[2][ALONE].accuracy != found[2]["average"].accuracy
    assert proven.verdicts == {
        "honest": {"accepted": 2},
        "random weights": {"rejected": 1},
        "sign flip": {"rejected": 1},
    }
    assert 0 < proven.replayed <= SMALL.share
    again: Found = byzantine.compare("linear", SMALL, [2], None, tmp_path)
    assert again == found
    byzantine.write(tmp_path, {"linear": found}, {})
    assert json.loads((tmp_path / "byzantine.json").read_text())["linear"]["2"][PROVEN] == asdict(proven)


@pytest.mark.usefixtures("in_process")
def test_a_worker_elsewhere_is_judged_by_what_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it is this process, which has the same bits; `tests/workers` has one with others."""
    asked = list[list[int]]()

    def start(folder: Path, steps: Iterable[int]) -> None:
        asked.append(list(steps))
        work(folder, asked[-1])

    monkeypatch.setattr(elsewhere, "task_named", lambda *_: (linear(), records(0)))
    (found,) = byzantine.look_elsewhere("linear", SMALL, None, tmp_path, {"this one": start})
    assert (found.verdict, found.compared) == ("accepted", 0), found.reason
    assert asked[0] == [], "it is asked to train, and then to open"
    assert len(asked[1]) == found.opened > 0
    assert byzantine.look_elsewhere("linear", SMALL, None, tmp_path, {"this one": start}) == [found]
    assert len(asked) == 2, "what is known is not computed again"
    assert "| this one | accepted | 3 | 0 |" in elsewhere_table([found])


def test_what_is_not_at_hand_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(byzantine.builds_at_hand(sys.executable)) == len(byzantine.builds_at_hand(None)) + 1
    assert capsys.readouterr().err.count("skipped: an honest worker under another jax") == 1


def test_tables_show_what_proofs_let_in() -> None:
    counts = {"honest": {"accepted": 5, "inconclusive": 1}, "lazy": {"rejected": 3}, "steering": {"accepted": 1}}
    outcome = Outcome(0.9, 12.0, 3.5, 0.12, counts, {"lazy": "claim: trained 3 steps"})
    found = {8: {"average": Outcome(0.1, megabytes=1.0), PROVEN: outcome}}
    assert table(found).splitlines()[-1] == "| 8 | 0.100 | 0.900 |"
    assert costs(found).splitlines()[-1] == "| 8 | 5 | 1 | 1 | 3 | 12% | 12 | 3.5 | 1.0 |"
    assert "| lazy | 0 | 3 | 0 | claim: trained 3 steps |" in verdicts(found)

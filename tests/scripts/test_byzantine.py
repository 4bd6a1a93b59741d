"""The comparison of aggregations: parts of the data that differ, and a table that names what proofs let in."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

import byzantine
from untrusted.aggregation import aggregations
from untrusted.federation import Outcome, non_iid


def test_workers_have_a_few_classes_each() -> None:
    records = {"label": np.arange(400) % 10, "x": np.arange(400.0)}
    parts = non_iid(records, byzantine.FULL, seed=1)
    assert len(parts) == byzantine.FULL.workers
    for worker, part in enumerate(parts):
        assert set(part["label"]) == {worker, (worker + 1) % 10}
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


def test_the_table_shows_what_proofs_let_in() -> None:
    outcome = Outcome(0.9, 10, 3, 1, 2.0, 0.5)
    header, line = byzantine.table({8: {"average": outcome, byzantine.PROVEN: outcome}}).splitlines()
    assert header.split()[:3] == ["Byzantine", "average", "proven"]
    assert line.split() == ["8", "0.900", "0.900", "3", "1"]

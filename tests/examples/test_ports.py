"""Loops that were ported: they learn as the original does, and are verified."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import ROOT
from unsandboxed import verify

from pol_jax.protocol.challenge import AllSegments
from pol_jax.proving.recording import train

PORTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
METRIC = {"reinforce": "gain"}


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")


def gained(values: list[float]) -> float:
    return abs(float(np.mean(values[-10:]) - np.mean(values[:10])))


@pytest.mark.parametrize("name", PORTS)
def test_a_port_learns_as_the_original_does_and_is_verified(name: str, tmp_path: Path) -> None:
    module: Any = importlib.import_module(name)
    task, metric, values = module.task(), METRIC.get(name, "loss"), list[float]()
    train(task, tmp_path / "proof", on_step=lambda _, metrics: values.append(metrics[metric]))
    assert 0.5 < gained(values) / gained(module.original(task.steps)) < 2
    report = verify(tmp_path / "proof", task.source, policy=AllSegments(), nonce=b"n")
    assert report.verdict == "accepted", report.reasons


def test_the_page_names_every_port() -> None:
    page = (ROOT / "examples" / "README.md").read_text()
    assert all(f"({name}.py)" in page for name in PORTS)

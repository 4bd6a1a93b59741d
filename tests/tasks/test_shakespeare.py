"""The task shakespeare learns, and its windows cover the text."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
from standin import train

from pol_jax.tasks import shakespeare
from pol_jax.training.task import load_task


def test_shakespeare_windows() -> None:
    text = np.random.default_rng(0).integers(0, 256, 64 * 5 + 40, np.uint8)
    source = shakespeare.windows(text)
    windows = source.records_at(np.arange(len(source)))["text"]
    assert windows.shape == (5, 65)
    np.testing.assert_array_equal(windows[:, 1:].ravel(), text[1 : 64 * 5 + 1])
    np.testing.assert_array_equal(windows[1:, 0], windows[:-1, -1])


def test_shakespeare_schedule() -> None:
    rates = np.asarray(jax.vmap(shakespeare.schedule(1000))(np.arange(1000)))
    assert rates.argmax() == shakespeare.WARM_UP
    assert rates.max() == pytest.approx(3e-3)
    assert rates.min() >= 1e-4
    assert np.all(np.diff(rates[: shakespeare.WARM_UP + 1]) > 0)
    assert np.all(np.diff(rates[shakespeare.WARM_UP :]) < 0)
    assert rates[-1] == pytest.approx(3e-4, rel=0.01)
    assert all(0 < float(shakespeare.schedule(steps)(0)) <= 3e-3 for steps in (0, 1, 2, 15))


def test_shakespeare_learns(real: Path) -> None:
    task = load_task("shakespeare", data_dir=real, steps=40)
    state, losses = train(task, 40)
    assert losses[0] == pytest.approx(np.log(256), rel=0.05)
    assert task.evaluate is not None
    found = task.evaluate(state)
    assert found["validation loss"] < 2.6
    assert found["validation accuracy"] > 0.25

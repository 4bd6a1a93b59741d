"""`tiny.plain` with another learning rate: a program that the same source of records, state and metrics fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import tiny

from pol_jax.training.task import Task


def slower() -> Task:
    """`tiny.plain` with another learning rate: the same state, records and metrics."""
    task = tiny.plain()

    def step(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        return new | {"params": jax.tree.map(lambda a, b: (a + b) / 2, state["params"], new["params"])}, metrics

    return dataclasses.replace(task, step=step)


def slow_task(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """`slower`, for the command line."""
    return slower()

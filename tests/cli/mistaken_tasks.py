"""Tasks with the mistakes that people make, for the command line: ``mistaken_tasks:evaluate_raises``, and others."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny

from pol_jax.training.task import Task

Factory = Callable[..., Task]


def _evaluating(evaluate: Any) -> Factory:
    return lambda data_dir=None, steps=None: replace(tiny.nested(steps=steps), evaluate=evaluate)


def _raise(state: Any) -> Any:
    raise ZeroDivisionError("mine")


evaluate_raises = _evaluating(_raise)
evaluate_returns_nothing = _evaluating(lambda state: None)
evaluate_returns_text = _evaluating(lambda state: {"accuracy": "99%"})
evaluate_names_markup = _evaluating(lambda state: {"[bold]x[/]": 1, "[/oops]": 2.0})


class Failing:
    """A disk that fails after the run."""

    def __len__(self) -> int:
        return tiny.RECORDS

    def __getitem__(self, index: int) -> Any:
        if os.environ.get("POL_TEST_FAILS"):
            raise OSError(5, "Input/output error", "/data/shard-3")
        return tiny.Pairs()[index]


def failing(data_dir: Path | None = None, steps: int | None = None) -> Task:
    return replace(tiny.nested(steps=steps), source=Failing())


def markup(data_dir: Path | None = None, steps: int | None = None) -> Task:
    return replace(tiny.nested(steps=steps), name="gpt [small] [/x]")


def scheduled(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """A learning rate that depends on the number of steps."""
    task, total = tiny.nested(steps=steps), steps or tiny.STEPS

    def step(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        return state + (new - state) / total, metrics

    return replace(task, step=step)

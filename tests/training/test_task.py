"""A task is checked when it is made, and found by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from pol_jax.errors import TaskError, UsageError, UserCodeError
from pol_jax.training import task as tasks
from pol_jax.training.records import Arrays
from pol_jax.training.task import BUILT_IN, Source, Task, load_task

NESTED = tiny.nested()


def made(**changes: Any) -> Task:
    """A task with other values, whose types only the task itself checks: all others are checked while tests run."""
    task = object.__new__(Task)
    vars(task).update({name: getattr(NESTED, name) for name in Task.__dataclass_fields__} | changes)
    task.__post_init__()
    return task


def test_a_task_is_shown_in_one_line_with_its_schedule() -> None:
    task = made(name="a\nb", source=[1, 2], batch_size=np.int64(4), steps=20, interval=5)
    assert repr(task) == "<Task 'a\\nb': list, batch size 4, 20 steps, interval 5>"
    assert type(task.batch_size) is int


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": 3}, "task: name: expected a text, got int"),
        ({"name": "x" * 257}, "task: name: expected at most 256 characters, got 257"),
        ({"name": "\ud800"}, "half of a pair of UTF-16"),
        ({"init": None}, "init: expected a function, got NoneType"),
        ({"evaluate": 3}, "evaluate: expected a function, got int"),
        ({"batch_size": 2**20 + 1}, "batch_size: expected an integer from 1 to 1048576, got 1048577"),
        ({"interval": True}, "interval: expected an integer from 1 to 1048576, got True"),
        ({"steps": 2**32}, "steps: expected an integer from 1 to 4294967295"),
        ({"hyperparameters": {"a": float("inf")}}, "hyperparameter 'a': expected a finite number, got inf"),
        ({"hyperparameters": {"a": 2**53}}, "hyperparameter 'a': expected an integer of at most 53 bits"),
        ({"hyperparameters": {"a": None}}, "hyperparameter 'a': expected a string, a number or a boolean"),
        ({"hyperparameters": {"x" * 257: 1}}, "its name: expected at most 256 characters"),
    ],
)
def test_what_no_run_can_be_made_of_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(TaskError) as raised:
        made(**changes)
    assert problem in str(raised.value)


def test_lists_and_arrays_are_sources() -> None:
    assert isinstance([1, 2], Source)
    assert isinstance(Arrays({"x": np.zeros(3)}), Source)
    assert not isinstance(iter([1]), Source)


def test_a_task_or_a_function_that_returns_one_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = list[dict[str, Any]]()

    def by_function(**options: Any) -> Task:
        given.append(options)
        return NESTED

    monkeypatch.setattr(tiny, "by_function", by_function, raising=False)
    monkeypatch.setattr(tiny, "task", NESTED, raising=False)
    monkeypatch.setattr(tasks, "BUILT_IN", {"short": "tiny:by_function"})
    assert load_task("tiny:task") is load_task("tiny:by_function", data_dir=Path("data"), steps=3) is NESTED
    assert load_task("short") is NESTED
    assert given == [{"data_dir": Path("data"), "steps": 3}, {"data_dir": None, "steps": None}]


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("nothing", UsageError, f"expected one of {', '.join(BUILT_IN)}, or module:attribute"),
        ("tiny:nothing", UsageError, "module 'tiny' has no attribute 'nothing'"),
        ("no_such_module:task", UsageError, "no module named 'no_such_module'"),
        ("tiny:STEPS", TaskError, "expected a pol_jax.Task or a function that returns one, got int"),
        ("tiny:points", TaskError, "expected a function (data_dir, steps) -> Task"),
        ("tiny:failing", UserCodeError, "KeyError: 'data_dir'"),
    ],
)
def test_what_is_no_task_is_told(
    name: str, kind: type[Exception], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(**options: Any) -> Task:
        raise KeyError(*sorted(options)[:1])

    monkeypatch.setattr(tiny, "failing", failing, raising=False)
    with pytest.raises(kind) as raised:
        load_task(name)
    assert problem in str(raised.value)

"""A task is everything that a training run needs, as pure functions and plain data.

    init(key) -> state
    step(state, batch, key) -> (state, metrics)

The state may be any pytree of arrays. Augmentation and dropout happen inside ``step``, and draw from its key. The
source returns records (training examples after host preprocessing) by index. A batch is a pytree like a record, whose
leaves have one more leading axis.
"""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np

from pol_jax.errors import TaskError, UsageError
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.protocol.trees import PyTree as PyTree  # for tasks, which import it from here
from pol_jax.training.user_code import calling

Key: TypeAlias = jax.Array
"""A key is a typed PRNG key, as ``jax.random.key`` makes it."""

BUILT_IN: Mapping[str, str] = {
    "digits": "pol_jax.tasks.digits:digits",
    "cifar10": "pol_jax.tasks.cifar10:cifar10",
    "cifar100": "pol_jax.tasks.cifar100:cifar100",
    "shakespeare": "pol_jax.tasks.shakespeare:shakespeare",
}
"""Each built-in task has a name, and lies in this module under this attribute."""

_LONGEST_TEXT: Final = 256
_LARGEST_INTEGER: Final = 2**53 - 1
"""Canonical JSON can express no larger integer (section 2)."""


@runtime_checkable
class Source(Protocol):
    """A source gives random access to records, as a TFDS or Grain data source, a list and `pol_jax.Arrays` do.

    For speed, a source may also have ``records_at(indices) -> batch``, where a batch is a pytree like a record whose
    leaves have one more leading axis, or ``__getitems__(indices) -> list of records``, as a Hugging Face data set has.
    """

    def __len__(self) -> int:
        """Return the number of records."""

    def __getitem__(self, index: Any, /) -> PyTree:
        """Return record ``index``: a pytree of arrays, with the same shapes and dtypes for every record."""


@dataclass(frozen=True, repr=False)
class Task:
    """A task says what is trained, on which records, and how.

    Attributes:
        name: a name for people; it is recorded in the commitment, and never trusted.
        init: ``init(key) -> state``, pure.
        step: ``step(state, batch, key) -> (state, metrics)``, pure; the new state has the structure, shapes and
            dtypes of the old one; ``metrics`` is a dict of scalars, the loss among them.
        source: the training records.
        batch_size: number of records that a step receives.
        steps: number of steps to train, if the caller gives none.
        interval: number of steps between two checkpoints, if the caller gives none.
        hyperparameters: strings, numbers and booleans that describe the task for people; recorded and never trusted.
        evaluate: ``evaluate(state) -> {name: value}``, for people; it is not part of the proof.
        loss: name of the metric that is the loss.
        arithmetic: ``"exact"`` for programs that have the same bits on every backend, at a cost in speed
            (`pol_jax.exact`); None for the backend's own arithmetic.
    """

    name: str
    init: Callable[[Key], PyTree]
    step: Callable[[PyTree, PyTree, Key], tuple[PyTree, Mapping[str, jax.Array]]]
    source: Source
    batch_size: int
    steps: int
    interval: int = 100
    hyperparameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    evaluate: Callable[[PyTree], Mapping[str, float]] | None = None
    loss: str = "loss"
    arithmetic: Literal["exact"] | None = None

    def __repr__(self) -> str:
        """Return name, kind of source and schedule in one line."""
        schedule = f"batch size {self.batch_size}, {self.steps} steps, interval {self.interval}"
        return f"<Task {self.name!r}: {type(self.source).__name__}, {schedule}>"

    def __post_init__(self) -> None:
        """Refuse what no run can be made of.

        Raises:
            TaskError: the name is no short text, ``init`` or ``step`` can't be called, a number is no positive integer,
                or a hyperparameter is neither text nor a finite number.
        """
        if problem := _problem_of_text("name", self.name):
            raise TaskError(f"task: {problem}")
        for name, function in (("init", self.init), ("step", self.step), ("evaluate", self.evaluate)):
            if not callable(function) and (name != "evaluate" or function is not None):
                raise TaskError(f"task {self.name!r}: {name}: expected a function, got {type(function).__name__}")
        for name, most in (("batch_size", 2**20), ("steps", MAX_STEPS), ("interval", 2**20)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
                raise TaskError(f"task {self.name!r}: {name}: expected an integer from 1 to {most}, got {value!r:.40}")
            object.__setattr__(self, name, int(value))  # numpy's integers can't be written down
        for name, value in self.hyperparameters.items():
            if problem := _problem_of_text("its name", name) or _problem_of_value(value):
                raise TaskError(f"task {self.name!r}: hyperparameter {name!r:.40}: {problem}")


def load_task(name: str, *, data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return the task called ``name``, which is a built-in name or ``module:attribute``.

    The attribute is a `Task`, or a function ``(data_dir, steps) -> Task``. Both are keyword arguments, and ``None``
    where the caller gave no value.

    Raises:
        UsageError: there is no such task, module or attribute.
        TaskError: the attribute is neither a task nor such a function.
    """
    module, _, attribute = BUILT_IN.get(name, name).partition(":")
    # Built-in tasks, one of which a proof may name, need no directory of the caller's.
    if name not in BUILT_IN:
        _look_in_current_directory()
    if not attribute:
        known = ", ".join(BUILT_IN)
        raise UsageError(f"task {name!r}: expected one of {known}, or module:attribute")
    value = getattr(_import(name, module), attribute, None)
    if value is None:
        raise UsageError(f"task {name!r}: module {module!r} has no attribute {attribute!r}")
    if callable(value) and not isinstance(value, Task):
        value = _call(name, value, data_dir, steps)
    if not isinstance(value, Task):
        raise TaskError(
            f"task {name!r}: expected a pol_jax.Task or a function that returns one, got {type(value).__name__}"
        )
    return value


def _call(name: str, function: Callable[..., Any], data_dir: Path | None, steps: int | None) -> Any:
    try:
        inspect.signature(function).bind(data_dir=data_dir, steps=steps)
    except TypeError as error:
        raise TaskError(f"task {name!r}: expected a function (data_dir, steps) -> Task: {error}") from None
    with calling(f"task {name!r}"):
        return function(data_dir=data_dir, steps=steps)


def _look_in_current_directory() -> None:
    """Let modules of the caller's own be imported from the current directory.

    It comes last in the search path, so that no file in it can hide a library.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def _import(name: str, module: str) -> Any:
    with calling(f"task {name!r}: importing {module}"):
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UsageError(f"task {name!r}: no module named {error.name!r}; run where it can be imported") from error


def _problem_of_text(what: str, text: Any) -> str | None:
    """Return why a text can't be in a commitment, or None if it can."""
    if not isinstance(text, str):
        return f"{what}: expected a text, got {type(text).__name__}"
    if len(text) > _LONGEST_TEXT:
        return f"{what}: expected at most {_LONGEST_TEXT} characters, got {len(text)}"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return f"{what}: has half of a pair of UTF-16 (a surrogate), which UTF-8 can't express"
    return None


def _problem_of_value(value: Any) -> str | None:
    """Return why a hyperparameter can't be in a commitment, or None if it can."""
    if isinstance(value, str):
        return _problem_of_text("its text", value)
    if not isinstance(value, int | float):
        return f"expected a string, a number or a boolean, got {type(value).__name__}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number, got {value}"
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return f"expected an integer of at most 53 bits, got {value!r:.40}"
    return None

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
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import jax

from pol_jax.errors import PolError, TaskError, UsageError

PyTree: TypeAlias = Any
Key: TypeAlias = jax.Array
"""A key is a typed PRNG key, as ``jax.random.key`` makes it."""

BUILT_IN: Mapping[str, str] = {
    "digits": "pol_jax.tasks.digits:digits",
    "cifar10": "pol_jax.tasks.cifar10:cifar10",
    "cifar100": "pol_jax.tasks.cifar100:cifar100",
    "shakespeare": "pol_jax.tasks.shakespeare:shakespeare",
}
"""This maps the name of each built-in task to its module and attribute."""


@runtime_checkable
class Source(Protocol):
    """A source gives random access to records, as a TFDS or Grain data source, a list and `pol_jax.Arrays` do.

    For speed, a source may also have ``take(indices) -> batch``, or ``__getitems__(indices) -> list of records``.
    """

    def __len__(self) -> int:
        """Return the number of records."""

    def __getitem__(self, index: Any, /) -> PyTree:
        """Return record ``index``: a pytree of arrays, with the same shapes and dtypes for every record."""


@dataclass(frozen=True)
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


def load_task(name: str, *, data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return the task called ``name``, which is a built-in name or ``module:attribute``.

    The attribute is a `Task`, or a function ``(data_dir, steps) -> Task``. Both are keyword arguments, and ``None``
    where the caller gave no value.

    Raises:
        UsageError: there is no such task, module or attribute.
        TaskError: the attribute is neither a task nor such a function.
    """
    module, _, attribute = BUILT_IN.get(name, name).partition(":")
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
    try:
        return function(data_dir=data_dir, steps=steps)
    except PolError:
        raise
    except Exception as error:  # the caller's own code may raise anything
        raise TaskError(f"task {name!r}: {type(error).__name__}: {error}") from error


def _look_in_current_directory() -> None:
    """Let modules of the caller's own be imported from the current directory.

    It comes last in the search path, so that no file in it can hide a library.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def _import(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"task {name!r}: no module named {error.name!r}; run where it can be imported") from error
    except Exception as error:  # the caller's own code may raise anything
        raise TaskError(f"task {name!r}: importing {module}: {type(error).__name__}: {error}") from error

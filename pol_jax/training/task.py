"""The task: pure functions and plain data, all that a training run needs.

    init(key) -> state
    step(state, batch, key) -> (state, metrics)

The state may be any pytree of arrays. Augmentation and dropout happen inside ``step``, from its key. The source gives
records (training examples after host preprocessing) by index; a batch is a pytree like a record, with one more
leading axis.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax

from pol_jax.errors import PolError, TaskError, UsageError

PyTree: TypeAlias = Any
Key: TypeAlias = jax.Array
"""A typed PRNG key, as ``jax.random.key`` makes it."""

BUILT_IN: Mapping[str, str] = {
    "digits": "pol_jax.tasks.digits:digits",
    "cifar10": "pol_jax.tasks.cifar10:cifar10",
    "cifar100": "pol_jax.tasks.cifar100:cifar100",
    "shakespeare": "pol_jax.tasks.shakespeare:shakespeare",
}
"""Name of each built-in task, and where it is."""


@runtime_checkable
class Source(Protocol):
    """Random access to records: a TFDS data source, a Grain source, a list, `pol_jax.training.records.Arrays`.

    A source may also have ``take(indices) -> batch`` (fast) or ``__getitems__(indices) -> list of records``.
    """

    def __len__(self) -> int:
        """Number of records."""

    def __getitem__(self, index: Any, /) -> PyTree:
        """Record ``index``: a pytree of arrays, of the same shapes and dtypes for every record."""


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and how.

    Attributes:
        name: readable name; recorded in the commitment, never trusted.
        init: ``init(key) -> state``, pure.
        step: ``step(state, batch, key) -> (state, metrics)``, pure; the new state has the structure, shapes and
            dtypes of the old one; ``metrics`` is a dict of scalars that has a ``"loss"``.
        source: the training records.
        batch_size: records a step.
        steps: how many steps to train when the caller doesn't say.
        interval: steps between two checkpoints when the caller doesn't say.
        hyperparameters: strings, numbers, booleans; a readable description, recorded, never trusted.
        evaluate: ``evaluate(state) -> {name: value}``, for people; not part of the proof.
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


def load_task(name: str, *, data_dir: Path | None = None, steps: int | None = None) -> Task:
    """The task called ``name``: a built-in name, or ``module:attribute``.

    The attribute is a `Task`, or a function ``(data_dir, steps) -> Task`` (both keyword arguments; ``None`` where the
    caller said nothing).

    Raises:
        UsageError: no such task, module or attribute.
        TaskError: the attribute is something else.
    """
    module, _, attribute = BUILT_IN.get(name, name).partition(":")
    if name not in BUILT_IN:
        _look_in_current_directory()
    if not attribute:
        known = ", ".join(BUILT_IN)
        raise UsageError(f"task {name!r}: expected one of {known}, or module:attribute")
    found = getattr(_import(name, module), attribute, None)
    if found is None:
        raise UsageError(f"task {name!r}: module {module!r} has no attribute {attribute!r}")
    if callable(found) and not isinstance(found, Task):
        found = _call(name, found, data_dir, steps)
    if not isinstance(found, Task):
        raise TaskError(
            f"task {name!r}: expected a pol_jax.Task or a function that returns one, got {type(found).__name__}"
        )
    return found


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
    """The caller named a module of their own: it may lie here. Last, so that nothing here hides a library."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def _import(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"task {name!r}: no module named {error.name!r}; run where it can be imported") from error
    except Exception as error:  # the caller's own code may raise anything
        raise TaskError(f"task {name!r}: importing {module}: {type(error).__name__}: {error}") from error

"""What takes most of the tests' time is done once in each process for the same input: exports, audits, compilations.

Hundreds of runs begin with the same few tasks. What an export or a load gives is a function of its input alone, which
tests/training/test_export.py and tests/program test without this.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from pol_jax.program.artifact import Artifacts, load_program
from pol_jax.program.signature import Signature
from pol_jax.protocol.limits import Limits
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.records import record_spec
from pol_jax.training.sources import fetch
from pol_jax.training.task import Task

load_once = lru_cache(maxsize=32)(load_program)
"""Loads, audits and compiles the same bytes of a program once. A refusal is not remembered."""

LOADERS = ("storage.proof", "verifying.opening_checks", "proving.trial")
EXPORTERS = ("proving.commit", "verifying.trusted_program", "workers.trusted_task")


_exported: dict[tuple[Any, ...], tuple[Task, Artifacts]] = {}
_signed: dict[tuple[Any, ...], tuple[Task, Signature]] = {}


def export_once(task: Task, signature: Signature, limits: Limits | None = None) -> Artifacts:
    """In place of `export_task`: a task of the same functions over like records is exported once."""
    key = (*_key(task), task.arithmetic, signature, limits)
    if key not in _exported:
        _exported[key] = task, export_task(task, signature, limits)  # the functions live on, and so do their numbers
    return _exported[key][1]


def signature_once(task: Task, prng: str) -> Signature:
    """In place of `signature_of`: a task of the same functions over like records is traced once."""
    key = (*_key(task), record_spec(task.source), task.batch_size, prng)
    if key not in _signed:
        _signed[key] = task, signature_of(task, prng)
    return _signed[key][1]


def _key(task: Task) -> tuple[Any, ...]:
    structure = jax.tree.structure(fetch(task.source, np.zeros(1, np.int64))[0])
    functions: tuple[Callable[..., Any], ...] = (task.init, task.step)
    wide = jax.config.jax_enable_x64  # type: ignore[attr-defined, unused-ignore]
    return (*map(id, functions), task.loss, structure, wide)

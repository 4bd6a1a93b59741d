"""What takes most of the tests' time is done once for the same input: exports, audits, compilations, Orbax's reading.

Hundreds of runs begin with the same few tasks. What an export or a load gives is a function of its input alone, which
tests/training/test_export.py and tests/program test without this; and what a compilation gives, of the program, the
variant and jax's settings, which tests/verifying/test_compilations.py tests without this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import Any

import jax
import numpy as np
import pytest
import stored_programs

from pol_jax.program.artifact import Artifacts, Program, load_program
from pol_jax.program.signature import Signature
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.mesh import Mesh
from pol_jax.protocol.trees import LeafSpec
from pol_jax.storage import stored_leaves
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.storage.orbax_settings import escaped_names
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.records import record_spec
from pol_jax.training.sources import fetch
from pol_jax.training.task import Task
from pol_jax.verifying import trusted_program
from pol_jax.verifying.compilations import Compilation, Variant, compile_step
from pol_jax.verifying.observed_steps import ObservedSteps

load_once = lru_cache(maxsize=32)(load_program)
"""Loads, audits and compiles the same bytes of a program once. A refusal is not remembered."""

text_once = lru_cache(maxsize=32)(trusted_program._text)
"""Prints the same bytes of a program once."""

LOADERS = ("storage.proof", "verifying.opening_checks", "proving.trial")
EXPORTERS = ("proving.commit", "verifying.trusted_program", "workers.trusted_task")
AUDITORS = ("training.export", "program.artifact")
OBSERVERS = ("verifying.numeric_comparison", "proving.decision_log")

MOST_COMPILED, MOST_OBSERVED = 60, 12
"""Of what is kept; each takes mappings of memory, of which there are so many."""

_compiled: dict[tuple[Any, ...], tuple[Program, Compilation]] = {}
_observed: dict[tuple[Any, ...], tuple[Program, ObservedSteps]] = {}

check_in_orbax = stored_leaves._check_in_orbax
_save = CheckpointWriter.save
_in_orbax: set[tuple[bytes, str]] = set()
_written: set[tuple[str, bool]] = set()

_exported: dict[tuple[Any, ...], tuple[Task, Artifacts]] = {}
_signed: dict[tuple[Any, ...], tuple[Task, Signature]] = {}


def export_once(task: Task, signature: Signature, limits: Limits | None = None) -> Artifacts:
    """In place of `export_task`: a task of the same functions over like records is exported once.

    What another process has exported, or an earlier run, is read from its file.
    """
    key = (*_key(task), task.arithmetic, signature, limits)
    if key not in _exported:
        with stored_programs.read():
            made = export_task(task, signature, limits)
        _exported[key] = task, made  # the functions live on, and so do their numbers
    return _exported[key][1]


def signature_once(task: Task, prng: str, mesh: Mesh | None = None) -> Signature:
    """In place of `signature_of`: a task of the same functions over like records is traced once."""
    key = (*_key(task), record_spec(task.source), task.batch_size, prng, mesh)
    if key not in _signed:
        _signed[key] = task, signature_of(task, prng, mesh)
    return _signed[key][1]


def compile_once(program: Program, variant: Variant, alive: Callable[[], None] = lambda: None) -> Compilation:
    """In place of `compile_step`: the same program, which `load_once` gives, is compiled once in each way."""
    alive()
    key = (id(program), variant.name, str(variant.options), str(jax.config.values))
    if key not in _compiled:
        _compiled[key] = program, compile_step(program, variant)
        _leave_out_oldest(_compiled, MOST_COMPILED)
    return replace(_compiled[key][1], alive=alive)


def observe_once(program: Program, variants: Sequence[Variant]) -> ObservedSteps:
    """In place of `ObservedSteps`: the step of the same program is instrumented, and compiled in each way, once."""
    ways = sorted((variant.name, str(variant.options)) for variant in variants)
    key = (id(program), str(ways), str(jax.config.values))
    if key not in _observed:
        _observed[key] = program, ObservedSteps(program, variants)
        _leave_out_oldest(_observed, MOST_OBSERVED)
    return _observed[key][1].ordered(variants)


def check_in_orbax_once(where: str, path: Path, expected: Mapping[tuple[str, ...], LeafSpec]) -> None:
    """In place of `stored_leaves._check_in_orbax`: checkpoints with the same files are shown to Orbax once.

    It starts an event loop for each, which takes longer than all else that is read of a small checkpoint. A refusal is
    not remembered. A test that does something to this process, and nothing to the files, takes the fixture `in_orbax`.
    """
    key = _content(path), repr(sorted(expected.items()))
    if key not in _in_orbax:
        check_in_orbax(where, path, expected)
        _in_orbax.add(key)


def save_for_orbax(writer: CheckpointWriter, step: int, leaves: Sequence[np.ndarray | jax.Array]) -> None:
    """In place of `CheckpointWriter.save`: what it wrote need not be shown to Orbax, as long as nobody changes it.

    The first checkpoints of each specification are, those that Orbax writes and those in the same form: in all others
    only the numbers differ.
    """
    kind = repr(writer._spec), writer._notes is None
    _save(writer, step, leaves)
    if kind not in _written:
        return _written.add(kind)
    named = zip(escaped_names(writer._spec), writer._spec, strict=True)
    expected = {name: leaf for name, leaf in named if 0 not in leaf.shape}
    _in_orbax.add((_content(writer._root / checkpoint_name(step)), repr(sorted(expected.items()))))


PROGRAMS: Mapping[str, Callable[..., Any]] = {
    **{f"pol_jax.{module}.load_program": load_once for module in LOADERS},
    **{f"pol_jax.{module}.export_task": export_once for module in EXPORTERS},
    **{f"pol_jax.{module}.signature_of": signature_once for module in EXPORTERS},
    "pol_jax.training.traced._exported": stored_programs.exported,
    **{f"pol_jax.{module}.audit": stored_programs.audited for module in AUDITORS},
}
"""What makes programs, loads and audits them, and what stands in its place."""


@contextmanager
def repeating_nothing() -> Iterator[None]:
    """Do all this once in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, function in PROGRAMS.items():
            patch.setattr(name, function)
        for module in OBSERVERS:
            patch.setattr(f"pol_jax.{module}.ObservedSteps", observe_once)
        patch.setattr("pol_jax.verifying.trusted_program._text", text_once)
        patch.setattr("pol_jax.verifying.compilations.compile_step", compile_once)
        patch.setattr("pol_jax.storage.stored_leaves._check_in_orbax", check_in_orbax_once)
        patch.setattr("pol_jax.storage.checkpoint_writer.CheckpointWriter.save", save_for_orbax)
        yield


def _content(folder: Path) -> bytes:
    """Digest all that is in a folder: names, kinds and contents; of a large file, which one it is."""
    digest = blake2b()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        large = status.st_size > 2**20
        kind = status.st_mode, status.st_size, (status.st_ino, status.st_mtime_ns) if large else ()
        content = path.read_bytes() if S_ISREG(status.st_mode) and not large else b""
        digest.update(repr((str(path.relative_to(folder)), kind)).encode() + content)
    return digest.digest()


def forget_programs() -> None:
    """Let go of all that was loaded or compiled."""
    load_once.cache_clear()
    _compiled.clear()
    _observed.clear()


def _leave_out_oldest(kept: dict[tuple[Any, ...], Any], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]


def _key(task: Task) -> tuple[Any, ...]:
    structure = jax.tree.structure(fetch(task.source, np.zeros(1, np.int64))[0])
    functions: tuple[Callable[..., Any], ...] = (task.init, task.step)
    wide = jax.config.jax_enable_x64  # type: ignore[attr-defined, unused-ignore]
    return (*map(id, functions), task.loss, structure, wide)

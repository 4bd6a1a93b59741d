"""Exports and audits of tests are kept beside their compiled programs, for other processes and for later runs.

To lower a task for three kinds of devices takes five times as long as all else of an export. What is lowered is a
function of what was traced, of jax with its settings, and of a few modules of `pol_jax`: a digest of these is the name
under which it is kept. What was traced and has an object in it that its text does not determine is exported each time.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from threading import get_ident
from types import FunctionType
from typing import Any, Final

import jax
import jax.export
import jax.numpy as jnp
import msgspec
import numpy as np
from jax.extend import core
from places import ROOT

from pol_jax.program.artifact import PLATFORMS
from pol_jax.program.audit import Audit, audit
from pol_jax.training import traced
from pol_jax.training.host_calls import names_mesh

folder = Path(tempfile.gettempdir())
"""Where the files are; conftest.py says it."""

export = traced._exported

_LOWERING: Final = tuple(f"pol_jax/training/{name}.py" for name in ("traced", "host_calls", "portable_linalg"))
"""Modules that say what is refused, and how a traced function is lowered."""

_AUDIT: Final = tuple(f"pol_jax/program/{name}.py" for name in ("audit", "dataflow", "operations", "stablehlo"))
"""Modules that an audit is made by."""

_FOR_DERIVATIVES: Final = {"jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd"}
"""Functions of Python among the parameters of primitives that tracing alone calls."""

_read: ContextVar[bool] = ContextVar("read", default=False)


class UnknownObject(Exception):
    """What was traced has an object in it that its text does not determine."""


@contextmanager
def read() -> Iterator[None]:
    """Within this, exports are read from files; elsewhere, such as in tests of exports, each is made."""
    token = _read.set(True)
    try:
        yield
    finally:
        _read.reset(token)


def exported(jitted: Any, name: str, *args: Any) -> tuple[jax.export.Exported, bool]:
    """In place of `traced._exported`: what was exported before, here or elsewhere, is read from a file, within `read`.

    A refusal is not remembered.
    """
    try:
        path = _path("export", export_digest(jitted, *args)) if _read.get() else None
    except UnknownObject:
        path = None
    if path is not None and path.exists():
        return jax.export.deserialize(bytearray(path.read_bytes())), names_mesh(jitted.trace(*args).jaxpr)
    made, divided = export(jitted, name, *args)
    if path is not None:
        _keep(path, bytes(made.serialize()))
    return made, divided


def audited(program: jax.export.Exported, prng: str = "threefry2x32", *, for_mesh: bool = False) -> Audit:
    """In place of `audit`: a program that was audited before, here or elsewhere, is not audited again.

    A refusal is not remembered.
    """
    described = tuple(program.module_kept_var_idx), len(program.out_avals), prng, for_mesh, _versions(_AUDIT)
    content = program.mlir_module_serialized + repr(described).encode()
    path = _path("audit", blake2b(content, digest_size=20).hexdigest())
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Audit)
    made = audit(program, prng, for_mesh=for_mesh)
    _keep(path, msgspec.json.encode(made))
    return made


def _path(kind: str, name: str) -> Path:
    return folder / f"{name}-{kind}-cache"


def _keep(path: Path, content: bytes) -> None:
    """Write a file at once, for others may be writing the same."""
    unfinished = path.with_name(f"{os.getpid()}-{get_ident()}-{path.name}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def export_digest(jitted: Any, *args: Any) -> str:
    """Return a digest of all that decides what a jitted function is lowered to.

    Raises:
        UnknownObject: it can't be told.
    """
    found = jitted.trace(*args)
    settings = {name: str(getattr(jax.config, name, value)) for name, value in jax.config.values.items()}
    settings.pop("jax_compilation_cache_dir", None)
    writer = _Writer()
    writer.write((_versions((*_LOWERING, "tests/stored_programs.py")), PLATFORMS, settings))
    writer.write((found.fun_name, str(found.in_tree), str(found.out_tree), str(found.args_info), str(found.out_info)))
    writer.write([(name, repr(value)) for name, value in sorted(found._params.items()) if name != "jaxpr"])
    writer.write(found.jaxpr)
    return writer.digest.hexdigest()


@cache
def _versions(modules: tuple[str, ...]) -> tuple[str, ...]:
    return jax.__version__, version("jaxlib"), *(blake2b((ROOT / each).read_bytes()).hexdigest() for each in modules)


class _Writer:
    """A writer digests a jaxpr with all that is in it. Variables and jaxprs are numbered in the order of their use.

    A jaxpr that is called twice is lowered once, and two equal ones are lowered to two functions.
    """

    def __init__(self) -> None:
        self.digest = blake2b(digest_size=20)
        self._numbers: dict[int, tuple[int, object]] = {}  # by identity, so the objects live on

    def write(self, value: Any) -> None:
        """Add a value, of any type that jax has among the parameters of its primitives."""
        if hasattr(value, "eqns"):
            self.write(list(getattr(value, "consts", ())))
            self._jaxpr(getattr(value, "jaxpr", value))
        elif isinstance(value, core.Literal):
            self._add("literal", repr(value.aval))
            self.write(value.val if isinstance(value.val, jax.Array) else np.asarray(value.val))
        elif isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            self._add("keys", value.dtype.name)
            self.write(jax.random.key_data(value))
        elif isinstance(value, jax.Array | np.ndarray | np.generic):
            array = np.asarray(value)
            self._add(type(value).__name__, array.dtype, array.shape, array.tobytes())
        elif isinstance(value, list | tuple):
            self._add(type(value).__name__, len(value))
            for each in value:
                self.write(each)
        elif isinstance(value, dict):
            self.write(sorted(value.items()))
        else:
            self._add(type(value).__name__, _text(value))

    def _jaxpr(self, jaxpr: Any) -> None:
        if id(jaxpr) in self._numbers:
            return self._add("again", self._number(jaxpr))
        self._number(jaxpr)
        self._variables(jaxpr.constvars)
        self._variables(jaxpr.invars)
        self._add(*sorted(map(str, jaxpr.effects)), jaxpr.debug_info.arg_names, jaxpr.debug_info.result_paths)
        for equation in jaxpr.eqns:
            self._add(equation.primitive.name, str(equation.source_info.name_stack), repr(equation.ctx))
            self._variables(equation.invars)
            parameters = equation.params.items()
            self.write([each for each in sorted(parameters) if each[0] not in _FOR_DERIVATIVES])
            self._variables(equation.outvars)
        self._variables(jaxpr.outvars)

    def _variables(self, variables: Any) -> None:
        for each in variables:
            if isinstance(each, core.Literal):
                self.write(each)
            else:
                self._add(self._number(each), repr(each.aval))
        self._add("end")

    def _number(self, known: Any) -> int:
        return self._numbers.setdefault(id(known), (len(self._numbers), known))[0]

    def _add(self, *parts: object) -> None:
        self.digest.update(repr(parts).encode())


def _text(value: Any) -> str:
    """Return what a value is, in full."""
    if isinstance(value, FunctionType) and value.__module__.startswith("jax.") and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if isinstance(value, jax.sharding.AbstractMesh) or (isinstance(value, jax.sharding.Mesh) and value.empty):
        return text
    if not isinstance(value, str | Enum) and (callable(value) or re.search(r"0x[0-9a-f]{6}|\.\.\.", text)):
        raise UnknownObject(text)
    return text

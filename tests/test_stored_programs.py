"""What tests read from files in place of exports and audits is what would be made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stored_programs
import tiny

from pol_jax.program.audit import audit
from pol_jax.training.export import export_task, signature_of

VECTOR = jax.ShapeDtypeStruct((3,), np.float32)


def _scaled(factor: float, *, by: str = "step") -> Callable[[Any], Any]:
    def step(x: Any) -> Any:
        with jax.named_scope(by):
            return x * factor

    return step


def _digest(function: Callable[[Any], Any], argument: Any = VECTOR) -> str:
    return stored_programs.export_digest(jax.jit(function), argument)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stored_programs, "folder", tmp_path)
    return tmp_path


def _made(*_: Any, **__: Any) -> Any:
    raise AssertionError("made anew")


@pytest.mark.interpreter
@pytest.mark.parametrize("task", [tiny.plain, tiny.linen, tiny.nested], ids=lambda task: task.__name__)
def test_an_export_and_its_audits_are_read_from_files(
    task: Callable[[], Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = signature_of(task(), "threefry2x32")
    anew = export_task(task(), signature)
    with stored_programs.read():
        assert export_task(task(), signature) == anew
        assert len(list(folder.glob("*-export-cache"))) == 2
        monkeypatch.setattr(stored_programs, "export", _made)
        assert export_task(task(), signature) == anew
    with pytest.raises(AssertionError, match="made anew"):
        export_task(task(), signature)
    for artifact in (anew.init, anew.step):
        program = jax.export.deserialize(bytearray(artifact))
        monkeypatch.setattr(stored_programs, "audit", audit)
        for _ in range(2):
            assert stored_programs.audited(program) == audit(program)
            monkeypatch.setattr(stored_programs, "audit", _made)


@pytest.mark.interpreter
def test_what_is_lowered_in_another_way_has_another_name() -> None:
    table = np.arange(3, dtype=np.float32)
    shared = jax.jit(_scaled(2.0))
    variants = {
        "usual": _digest(_scaled(2.0)),
        "number": _digest(_scaled(2.5)),
        "scope": _digest(_scaled(2.0, by="init")),
        "type": _digest(_scaled(2.0), jax.ShapeDtypeStruct((3,), np.float16)),
        "shape": _digest(_scaled(2.0), jax.ShapeDtypeStruct((4,), np.float32)),
        "constant": _digest(lambda x: x * table),
        "another constant": _digest(lambda x: x * (table + 1)),
        "one function, called twice": _digest(lambda x: shared(shared(x))),
        "two functions": _digest(lambda x: jax.jit(_scaled(2.0))(jax.jit(_scaled(2.0))(x))),
        "turns": _digest(lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y * 2, x)),
        "more turns": _digest(lambda x: jax.lax.fori_loop(0, 4, lambda _, y: y * 2, x)),
        "derivative": _digest(jax.grad(lambda x: jnp.sum(jax.nn.relu(x)))),
        "random": _digest(lambda x: x + jax.random.uniform(jax.random.key(1))),
        "another key": _digest(lambda x: x + jax.random.uniform(jax.random.key(2))),
    }
    with jax.default_matmul_precision("highest"):
        variants["setting"] = _digest(_scaled(2.0))
    assert len(set(variants.values())) == len(variants)
    assert variants["usual"] == _digest(_scaled(2.0))
    assert variants["derivative"] == _digest(jax.grad(lambda x: jnp.sum(jax.nn.relu(x))))


def test_what_has_an_object_of_python_in_it_is_made_each_time(folder: Path) -> None:
    called = jax.jit(lambda x: jax.pure_callback(lambda y: y, VECTOR, x))
    with pytest.raises(stored_programs.UnknownObject):
        stored_programs.export_digest(called, VECTOR)
    with stored_programs.read(), pytest.raises(Exception, match="calls back"):
        stored_programs.exported(called, "step", VECTOR)
    assert not list(folder.iterdir())

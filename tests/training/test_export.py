"""The exported program is the task, and is the same wherever the task's code lies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from same_key import Same
from unsandboxed import verify

from pol_jax.errors import TaskError
from pol_jax.program.artifact import artifact_digests, load_program
from pol_jax.protocol.trees import DTYPES
from pol_jax.proving.train import train
from pol_jax.storage.proof import open_proof
from pol_jax.training.export import export_task, signature_of, structure_of
from pol_jax.training.records import take
from pol_jax.training.task import Task

PRNG = "threefry2x32"


TASKS = {"plain": tiny.plain, "linen": tiny.linen, "nested": tiny.nested}


def digests(task: Task) -> tuple[str, str]:
    return artifact_digests(export_task(task, signature_of(task, PRNG)))


@pytest.fixture(scope="module")
def plain_digests() -> tuple[str, str]:
    return digests(tiny.plain())


def variant(**changes: Any) -> Task:
    """A task with one number for a state, or otherwise as told."""

    def init(key: jax.Array) -> Any:
        return {"x": jnp.float32(1)}

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        return {"x": state["x"] - batch["x"].mean()}, {"loss": batch["x"].mean()}

    fields = {"init": init, "step": step} | changes
    return Task("variant", fields["init"], fields["step"], tiny.plain().source, tiny.BATCH, 4, 2)


# --- the program is the task -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_three_exported_steps_are_three_steps_of_the_task(name: str) -> None:
    """Bit for bit, against the task's own functions under plain jit."""
    task = TASKS[name]()
    structure, signature = structure_of(task, PRNG), signature_of(task, PRNG)
    program = load_program(export_task(task, signature), signature)
    key = np.array([3, 4], np.uint32)
    typed = [jax.random.wrap_key_data(jnp.asarray(key + at), impl=PRNG) for at in range(4)]
    treedef, flat = jax.tree.structure(task.source[0]), take(task.source, signature.record, np.arange(tiny.BATCH))
    leaves, state, step = program.init(key), jax.jit(task.init)(typed[0]), jax.jit(task.step)
    for at in range(1, 4):
        leaves, metrics = program.step(leaves, flat, key + np.uint32(at))
        state, expected = step(state, jax.tree.unflatten(treedef, flat), typed[at])
        assert metrics[program.signature.loss_place] == expected["loss"]
        assert signature.metrics == tuple(sorted(expected))
    assert [leaf.tobytes() for leaf in map(np.asarray, leaves)] == [
        leaf.tobytes() for leaf in map(np.asarray, structure.leaves(state))
    ]
    again = structure.state(leaves)
    assert jax.tree.structure(again) == jax.tree.structure(state)  # type: ignore[operator, unused-ignore]  # jax gives it no type
    for new, old in zip(jax.tree.leaves(again), jax.tree.leaves(state), strict=True):
        assert (new.dtype, new.shape) == (old.dtype, old.shape)


def test_leaves_of_every_kind_are_in_the_commitment(plain_proof: Path) -> None:
    found = {leaf.path: (leaf.dtype, leaf.shape, leaf.prng) for leaf in open_proof(plain_proof).commitment.state}
    assert found == {
        "/count": ("int32", (), None),
        "/key": ("uint32", (2,), PRNG),
        "/momentum": ("bfloat16", (tiny.FEATURES, tiny.CLASSES), None),
        "/nothing": ("float32", (0, 3), None),
        "/params/b": ("float32", (tiny.CLASSES,), None),
        "/params/w": ("float32", (tiny.FEATURES, tiny.CLASSES), None),
    }


@pytest.mark.parametrize("dtype", sorted(DTYPES.keys() - {"int64", "uint64", "float64", "complex128"}))
def test_state_leaf_of_every_dtype(dtype: str, tmp_path: Path) -> None:
    """Exported, trained, checkpointed, digested, replayed."""
    values = (jnp.arange(6).reshape(2, 3) % 2).astype(DTYPES[dtype])

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        flips = jax.random.bernoulli(key, 0.5, (2, 3))
        flips &= batch["x"].sum() < 1e9
        return {"x": jnp.where(flips, state["x"], values)}, {"loss": batch["x"].sum()}

    task = variant(init=lambda key: {"x": values + jnp.zeros_like(values)}, step=step)
    train(task, tmp_path / "proof", steps=3)
    assert verify(tmp_path / "proof", task.source)


@pytest.mark.parametrize("value", [1, 0.5, True, np.float32(2), np.arange(3)])
def test_python_numbers_and_numpy_arrays_are_leaves(value: Any, tmp_path: Path) -> None:
    """Weakly typed ones too: they come back from a step strongly typed, and stay what they were."""

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        new = state["x"] if isinstance(value, bool) else state["x"] + 1
        return {"x": new, "y": 3, "seen": batch["x"].sum()}, {"loss": batch["label"].sum()}

    task = variant(init=lambda key: {"x": value, "y": 3, "seen": 0.0}, step=step)
    train(task, tmp_path / "proof", steps=3)
    assert verify(tmp_path / "proof", task.source)
    final = open_proof(tmp_path / "proof").final_state()
    expected = value if isinstance(value, bool) else value + 3
    assert final["x"].dtype == jnp.asarray(value).dtype
    assert np.array_equal(final["x"], expected)


ELSEWHERE = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pol_jax.training.export import export_task, signature_of
from pol_jax.program.artifact import artifact_digests
for file in sys.argv[1:]:
    spec = spec_from_file_location("task_of_mine", file)
    sys.modules["task_of_mine"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    task = module.plain()
    print(*artifact_digests(export_task(task, signature_of(task, "threefry2x32"))))
"""


def test_digest_does_not_depend_on_where_the_code_lies(plain_digests: tuple[str, str], tmp_path: Path) -> None:
    lines = Path(tiny.__file__).read_text()
    files = [tmp_path / place / "task_of_mine.py" for place in ("a", "another/much/deeper")]
    for file, moved in zip(files, ("", "# moved\n\n"), strict=True):
        file.parent.mkdir(parents=True)
        file.write_text(moved + lines)
    (tmp_path / "main.py").write_text(ELSEWHERE)
    command = [sys.executable, "main.py", *map(str, files)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert [tuple(line.split()) for line in result.stdout.splitlines()] == [plain_digests] * 2


def test_digest_depends_on_what_is_computed(plain_digests: tuple[str, str]) -> None:
    init, step = plain_digests
    task = tiny.plain()

    def other(state: Any, batch: Any, key: jax.Array) -> Any:
        new, metrics = task.step(state, batch, key)
        return new, {**metrics, "loss": metrics["loss"] + 1}

    found = digests(variant(init=task.init, step=other))
    assert found == (init, digests(variant(init=task.init, step=other))[1])
    assert found[1] != step


def test_settings_are_as_before_an_export() -> None:
    before = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined, unused-ignore]
    digests(tiny.nested())
    after = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined, unused-ignore]
    assert after == before


# --- a task that breaks its contract -----------------------------------------------------------------------------


def returning(state: Any, metrics: Any = None) -> Callable[..., Any]:
    return lambda *_: (state, {"loss": jnp.float32(0)} if metrics is None else metrics)


def callback(state: Any, batch: Any, key: jax.Array) -> Any:
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    return state, {"loss": jax.pure_callback(lambda x: np.float32(x), shape, batch["x"].sum())}


def with_metric(name: Any, value: Any) -> Callable[..., Any]:
    return lambda state, batch, key: (state, {"loss": batch["x"].sum(), name: value})


def keeping() -> Callable[..., Any]:
    """A step that keeps what one call received for the next one."""
    kept: list[jax.Array] = []

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        kept.append(batch["x"])
        return {"x": state["x"] + batch["x"].sum()}, {"loss": kept[0].sum() + state["x"]}

    return step


BROKEN = {
    "dtype": (variant(step=returning({"x": jnp.int32(1)})), "leaf /x float32[] became /x int32[]"),
    "shape": (variant(step=returning({"x": jnp.ones(2)})), "leaf /x float32[] became /x float32[2]"),
    "name": (variant(step=returning({"y": jnp.float32(1)})), "leaf /x float32[] became /y float32[]"),
    "more": (variant(step=returning({"x": jnp.float32(1), "y": jnp.float32(1)})), "1 leaves became 2"),
    "fewer": (variant(step=returning({})), "no leaves"),
    "text": (variant(step=returning({"x": "text"})), "leaf /x: expected an array, got str"),
    "no loss": (variant(step=returning({"x": jnp.float32(1)}, {"cost": jnp.float32(1)})), "'loss'"),
    "no metrics": (variant(step=returning({"x": jnp.float32(1)}, {})), "'loss'"),
    "metrics": (variant(step=returning({"x": jnp.float32(1)}, jnp.float32(1))), "expected a dict of scalars"),
    "vector": (variant(step=returning({"x": jnp.float32(1)}, {"loss": jnp.ones(1)})), "'loss' has shape [1]"),
    "other vector": (
        variant(step=returning({"x": jnp.float32(1)}, {"loss": jnp.float32(1), "all": jnp.ones((2, 3))})),
        "'all' has shape [2, 3]",
    ),
    "callback": (variant(step=callback), "step calls back to Python (jax.pure_callback)"),
    "nothing": (variant(step=lambda *_: None), "step returned None; expected a pair (state, metrics)"),
    "three": (variant(step=lambda *_: (1, 2, 3)), "step returned tuple of 3; expected a pair"),
    "state only": (variant(step=lambda state, *_: state), "step returned dict; expected a pair"),
    "nested metric": (variant(step=with_metric("aux", {"a": 1.0})), "metric 'aux' is dict; expected a scalar"),
    "no metric": (variant(step=with_metric("aux", None)), "metric 'aux' is None"),
    "text metric": (variant(step=with_metric("aux", "hello")), "metric 'aux' is str"),
    "number name": (variant(step=with_metric(3, 1.0)), "metric 3 has a name that is int"),
    "complex metric": (variant(step=with_metric("aux", jnp.complex64(1))), "has dtype complex64; expected a real"),
    "key metric": (variant(step=with_metric("aux", jax.random.key(0))), "has dtype key<fry>; expected a real"),
    "bug in step": (variant(step=lambda s, b, k: (s, b["image"])), "in <lambda>: KeyError: 'image'"),
    "bug in init": (variant(init=lambda k: 1 / 0), "in <lambda>: ZeroDivisionError: division by zero"),
    "init without a key": (variant(init=dict[str, int]), "init: "),
    "branch": (variant(step=lambda s, b, k: (s if b["x"].sum() > 0 else b, {})), "TracerBoolConversionError"),
    "kept tracer": (variant(step=keeping()), "can't be "),
    "large number": (variant(init=lambda key: {"x": 2**40}), "state leaf /x: Python int 1099511627776"),
    "mixed names": (variant(init=lambda key: {"x": 0.0, 1: 0.0}), "a dict has keys that can't be ordered"),
    "init text": (variant(init=lambda key: {"x": "text"}), "leaf /x: expected an array, got str"),
    "init object": (variant(init=lambda key: {"x": object()}), "leaf /x: expected an array, got object"),
    "init function": (
        variant(init=lambda key: {"x": jnp.tanh}),
        "; keep functions out of the state (of Equinox: eqx.part",
    ),
    "init empty": (variant(init=lambda key: {}), "no leaves"),
    "same path": (variant(init=lambda key: {Same(1): 1.0, Same(2): 2.0}), "two leaves have the path /same"),
    "dtype4": (variant(init=lambda key: {"x": jnp.zeros(2, jnp.int4)}), "dtype int4 is not supported"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_contract(what: str, tmp_path: Path) -> None:
    """One line that names the leaf or the metric; nothing is left that looks like a proof."""
    task, problem = BROKEN[what]
    with pytest.raises(TaskError) as caught:
        train(task, tmp_path / "proof", steps=2)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "proof" / "commitment.json").exists()


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("callback", r"calls back to Python \(jax.pure_callback\)"),
        ("foreign call", "jump_anywhere"),
        ("print", r"calls back to Python \(jax.debug.print\), which no verifier can repeat: remove the call"),
        ("library", "step can.t be exported: .*schur"),  # it has no portable lowering
    ],
)
def test_the_exporter_refuses_what_a_verifier_would_not_run(what: str, problem: str) -> None:
    task = tiny.plain()

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        if what == "print":
            jax.debug.print("{}", batch["x"].sum())
        new, metrics = task.step(state, batch, key)
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        if what == "callback":
            return new, {**metrics, "extra": jax.pure_callback(lambda x: np.float32(x), shape, metrics["loss"])}
        if what == "foreign call":
            return new, {**metrics, "extra": jax.ffi.ffi_call("jump_anywhere", shape)(metrics["loss"])}
        if what == "library":
            return new, {**metrics, "extra": jax.scipy.linalg.schur(batch["x"].T @ batch["x"])[0][0, 0]}
        return new, metrics

    bad = Task("bad", task.init, step, task.source, task.batch_size, 1)
    with pytest.raises(TaskError, match=problem):
        export_task(bad, signature_of(bad, "threefry2x32"))

"""The prover exports a task's ``init`` and ``step`` as StableHLO; `pol_jax.program.artifact` loads them (section 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh

from pol_jax.errors import TaskError, printable
from pol_jax.exact import exact
from pol_jax.program.artifact import Artifacts, Leaves, missing_step_dependence
from pol_jax.program.audit import Audit, audit
from pol_jax.program.divided import Cuts, cuts_of, is_for_mesh
from pol_jax.program.placement import axes_of
from pol_jax.program.signature import Signature
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.keys import KEY_WORDS
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.mesh import Mesh
from pol_jax.protocol.trees import PyTree, StateSpec
from pol_jax.training.pytrees import state_spec
from pol_jax.training.records import record_spec
from pol_jax.training.sources import fetch
from pol_jax.training.task import Task
from pol_jax.training.traced import exported_of, traced
from pol_jax.training.user_code import calling

_OTHER_KEYS: Final = (
    ": another device draws other random bits; make keys by jax.random.key(seed, impl='threefry2x32'), or choose "
    "pol_jax.Choices(prng='rbg')"
)


@dataclass(frozen=True)
class Structure:
    """A structure turns a state of the task's own classes into leaves and back; verifiers have none."""

    spec: StateSpec
    treedef: jax.tree_util.PyTreeDef

    def leaves(self, state: PyTree) -> Leaves:
        """Return the leaves of the task's state as plain arrays."""
        return tuple(_plain(leaf) for leaf in jax.tree.leaves(state))

    def state(self, leaves: Sequence[Any]) -> PyTree:
        """Return the task's state with these leaves."""
        typed = [
            leaf if spec.prng is None else jax.random.wrap_key_data(leaf, impl=spec.prng)
            for spec, leaf in zip(self.spec, leaves, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, typed)


def structure_of(task: Task, prng: str, axes: AbstractMesh | None = None) -> Structure:
    """Return the structure of a task's state, without computing the state; ``axes`` are those of the run's mesh."""
    found: list[Structure] = []

    def trace(data: jax.Array) -> None:
        with calling("init"):
            state = task.init(jax.random.wrap_key_data(data, impl=prng))
        found.append(Structure(state_spec(state), jax.tree.structure(state)))

    key = jax.ShapeDtypeStruct((KEY_WORDS[prng],), np.uint32)
    traced(lambda: jax.eval_shape(trace, key), axes)
    # The last one: functions that look for a mesh are traced a second time (`traced`).
    return found[-1]


def signature_of(task: Task, prng: str, mesh: Mesh | None = None) -> Signature:
    """Return the signature of a task's program; ``mesh`` is that of the run.

    Raises:
        TaskError: ``step`` changes the state's structure, shapes or dtypes, or its metrics are no scalars with a loss.
    """
    axes = None if mesh is None else axes_of(mesh)
    structure, record = structure_of(task, prng, axes), record_spec(task.source)
    shapes = Signature(structure.spec, record, task.batch_size, prng, (), task.loss, mesh)
    step = _flat_step(task, structure, prng)
    _, metrics = traced(lambda: jax.eval_shape(step, shapes.leaves(), shapes.batch(), shapes.key()), axes)
    return replace(shapes, metrics=tuple(metrics))


def export_task(task: Task, signature: Signature, limits: Limits | None = None) -> Artifacts:
    """Return a task's ``init`` and ``step``, exported for all platforms.

    The paths of source files are left out, so that a task is exported as the same bytes wherever its code lies. A
    function that names devices is exported for those of the signature's mesh, any other for one device.

    Raises:
        TaskError: the task calls back to the host, uses something that can't be exported, has constants beyond
            ``limits``, or has a step that ignores its batch or its state.
    """
    of_init, of_step = cuts_of(signature) or (None, None)
    structure, prng = structure_of(task, signature.prng, of_init.axes if of_init else None), signature.prng
    step, names = _flat_step(task, structure, prng), signature.metrics

    def init(key: jax.Array) -> Leaves:
        with calling("init"):
            state = task.init(jax.random.wrap_key_data(key, impl=prng))
        return structure.leaves(state)

    def ordered(leaves: Leaves, batch: Leaves, key: jax.Array) -> tuple[Leaves, Leaves]:
        new, metrics = step(leaves, batch, key)
        return new, tuple(metrics[name] for name in names)

    # The names of these functions are part of the exported bytes.
    if task.arithmetic == "exact":
        init, ordered = exact(init), exact(ordered)
    init_artifact, init_audit = _export(init, "init", signature, of_init, signature.key())
    arguments = signature.leaves(), signature.batch(), signature.key()
    step_artifact, step_audit = _export(ordered, "step", signature, of_step, *arguments)
    _check_training(init_audit, step_audit, signature, limits or Limits())
    return Artifacts(init_artifact, step_artifact)


def _check_training(init: Audit, step: Audit, signature: Signature, limits: Limits) -> None:
    """Refuse a program that a verifier would refuse: it is better to know before the training."""
    problem = missing_step_dependence(step, signature)
    if problem:
        raise TaskError(f"step: {problem}; that is no training, and a verifier refuses it")
    constants, limit = init.constant_bytes + step.constant_bytes, limits.constants(nbytes(signature.state))
    if constants > limit:
        raise TaskError(
            f"init and step hold {constants} bytes of constants, and a verifier allows {limit}: make large arrays part"
            " of the records or of the state that init returns, or compute them (jnp.arange, not np.arange)"
        )


def _flat_step(task: Task, structure: Structure, prng: str) -> Callable[..., tuple[Leaves, dict[str, jax.Array]]]:
    record = jax.tree.structure(fetch(task.source, np.zeros(1, np.int64))[0])

    def step(leaves: Leaves, batch: Leaves, key: jax.Array) -> tuple[Leaves, dict[str, jax.Array]]:
        typed_key = jax.random.wrap_key_data(key, impl=prng)
        with calling("step"):
            returned = task.step(structure.state(leaves), jax.tree.unflatten(record, batch), typed_key)
        if not isinstance(returned, tuple | list) or len(returned) != 2:
            raise TaskError(f"step returned {_kind(returned)}; expected a pair (state, metrics)")
        state, metrics = returned
        _check_kept(structure.spec, state)
        return structure.leaves(state), _scalars(metrics, task.loss)

    return step


def _check_kept(before: StateSpec, state: PyTree) -> None:
    after = state_spec(state)
    # Their number is compared last: a leaf that is named tells more than two counts.
    for old, new in zip(before, after, strict=False):
        if old != new:
            was, now = f"{old.dtype}{list(old.shape)}", f"{new.dtype}{list(new.shape)}"
            raise TaskError(f"step changes the state: leaf {old.path or '/'} {was} became {new.path or '/'} {now}")
    if len(before) != len(after):
        raise TaskError(f"step changes the state: {len(before)} leaves became {len(after)}")


def _scalars(metrics: Any, loss: str) -> dict[str, jax.Array]:
    if not isinstance(metrics, Mapping) or loss not in metrics:
        got = f"names {list(metrics)}" if isinstance(metrics, Mapping) else _kind(metrics)
        raise TaskError(f"step returned metrics with {got}; expected a dict of scalars with a {loss!r}")
    for name, value in metrics.items():
        if problem := _no_scalar(name, value):
            raise TaskError(f"metric {name!r} {problem}")
    # Sorted as in the commitment; float32, because the ledger has their bytes.
    return {name: jnp.asarray(metrics[name], jnp.float32) for name in sorted(metrics)}


def _no_scalar(name: Any, value: Any) -> str | None:
    """Return why a metric can't be recorded, or None if it can."""
    if not isinstance(name, str):
        return f"has a name that is {_kind(name)}; expected a string"
    if not isinstance(value, bool | int | float | jax.Array | np.ndarray | np.generic):
        return f"is {_kind(value)}; expected a scalar, so flatten what is nested and leave out what is no number"
    if jnp.shape(value) != ():
        return f"has shape {list(jnp.shape(value))}; expected a scalar"
    kind = jnp.result_type(value)
    real = jnp.issubdtype(kind, jnp.number) and not jnp.issubdtype(kind, jnp.complexfloating)
    return None if real or kind == jnp.bool_ else f"has dtype {kind}; expected a real number"


def _kind(value: Any) -> str:
    """Return what a value is, in words: its class, and for a tuple or list how many elements it has."""
    name = "None" if value is None else type(value).__name__
    return f"{name} of {len(value)}" if isinstance(value, tuple | list) else name


def _export(
    function: Callable[..., Any], name: str, signature: Signature, cuts: Cuts | None, *args: Any
) -> tuple[bytes, Audit]:
    # Source locations would make the bytes depend on paths of the prover's machine, and publish them.
    limit = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined, unused-ignore]
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        with jax.disable_jit(False):  # a caller who debugs without jit would write down another program
            exported = exported_of(function, name, cuts, *args)
            content = bytes(exported.serialize())
    except (NotImplementedError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise TaskError(f"{name} can't be exported: {printable(reason)}") from error
    finally:
        jax.config.update("jax_traceback_in_locations_limit", limit)
    try:
        return content, audit(exported, signature.prng, for_mesh=is_for_mesh(exported, signature))
    except ValueError as error:
        cure = _OTHER_KEYS if "rng_bit_generator" in str(error) else ""
        raise TaskError(f"{name} {error}; a verifier would refuse it{cure}") from error


def _plain(leaf: Any) -> jax.Array:
    """Return a leaf as a plain, strongly typed array."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return jnp.asarray(leaf, dtype=jnp.asarray(leaf).dtype)

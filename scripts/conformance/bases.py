"""The proofs and openings that the cases start from: honest runs, so small that each has some tens of kilobytes.

They are trained once for a format, like frozen proofs: another jax, processor or Orbax would write other bytes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

import pol_jax
from pol_jax.protocol.mesh import Mesh
from pol_jax.proving import commit
from pol_jax.training import pytrees

RECORDS: Final = 6
SECRET: Final = bytes(range(32))
"""Salts the records of the proof ``salted``. A secret that is published is none; this one is for tests."""

VERSION_1: Final = "version-1"
"""The directory of a proof of version 1, which is one of the frozen ones."""

PROVER: Final = "ed25519:" + "d7" * 32


@dataclass(frozen=True)
class Base:
    """An honest run.

    Attributes:
        name: of its directory in ``proofs``.
        about: what is special about it.
        task: what is trained.
        choices: the prover's, by their names.
        opened: steps that are opened in ``NAME.opening`` beside it; empty for no opening.
        steps: how many are asked for; the task's if None.
        parent: the run that it starts from.
        keep_every: of so many checkpoints, one is kept.
        wide: whether jax's 64-bit types are enabled.
        pieces: into how many each axis of ``/w`` is cut for digests, which this prover does not offer.
        mesh: over which devices it says that it ran, likewise.
        changed: whether the weights are changed from outside after step 1.
    """

    name: str
    about: str
    task: pol_jax.Task
    choices: tuple[tuple[str, Any], ...] = ()
    opened: tuple[int, ...] = ()
    steps: int | None = None
    parent: str | None = None
    keep_every: int | None = None
    wide: bool = False
    pieces: tuple[int, ...] = ()
    mesh: Any = None
    changed: bool = False


def records(wide: bool = False) -> dict[str, np.ndarray]:
    """Make the records by integer arithmetic, so that every version of NumPy makes the same ones."""
    index, feature = np.arange(RECORDS)[:, None], np.arange(4)[None]
    x = ((7 * index + 13 * feature + 5 * index * feature) % 32 / 16 - 1).astype(np.float64 if wide else np.float32)
    return {"even": np.arange(RECORDS) % 2 == 0, "x": x}


def line(dtype: Any = jnp.float32, **fields: Any) -> pol_jax.Task:
    """Return a linear model whose records have a bool, and whose state has a bool, a counter and an empty leaf."""

    def init(key: jax.Array) -> Any:
        bits = jax.random.bits(key, (4, 2), jnp.uint8)
        w = ((bits.astype(jnp.float32) - 128) / 256).astype(dtype)
        return {"count": jnp.int32(0), "empty": jnp.zeros((0, 3)), "odd": jnp.zeros(2, bool), "w": w}

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        del key

        def loss_of(w: jax.Array) -> jax.Array:
            return jnp.mean(jnp.square(batch["x"].astype(dtype) @ w - batch["even"].astype(dtype)[:, None]))

        loss, gradient = jax.value_and_grad(loss_of)(state["w"])
        new = {"count": state["count"] + 1, "odd": ~state["odd"], "w": state["w"] - dtype(0.25) * gradient}
        metrics = {"loss": loss.astype(jnp.float32), "norm": jnp.sum(jnp.abs(gradient)).astype(jnp.float32)}
        return {**state, **new}, metrics

    source = pol_jax.Arrays(records(wide=dtype == jnp.float64))
    return pol_jax.Task("conformance line", init, step, source, **{"batch_size": 2, "steps": 5, "interval": 2} | fields)


def bare() -> pol_jax.Task:
    """Return a model whose state is one array, with the empty path."""

    def init(key: jax.Array) -> Any:
        return jax.random.bits(key, (4,), jnp.uint8).astype(jnp.float32) / 256

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        del key
        loss, gradient = jax.value_and_grad(lambda w: jnp.mean(jnp.square(batch["x"] @ w)))(state)
        return state - 0.25 * gradient, {"loss": loss}

    return pol_jax.Task("conformance bare", init, step, pol_jax.Arrays(records()), 2, 2, 2)


def drawing() -> pol_jax.Task:
    """Return a model with a PRNG key in its state, from which each step draws."""

    def init(key: jax.Array) -> Any:
        return {"key": key, "w": jnp.zeros(4)}

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        own, rest = jax.random.split(state["key"])
        kept = jax.random.bernoulli(own, 0.75, (4,)) * jax.random.bernoulli(key, 0.75, (4,))
        loss, gradient = jax.value_and_grad(lambda w: jnp.mean(jnp.square(batch["x"] @ (w * kept) - 1)))(state["w"])
        return {"key": rest, "w": state["w"] - 0.25 * gradient}, {"loss": loss}

    return pol_jax.Task("conformance drawing", init, step, pol_jax.Arrays(records()), 2, 2, 2)


def bases() -> Iterator[Base]:
    """List the runs; one comes after that which it starts from."""
    plain, signed = line(), (("prover", PROVER), ("beacon", "a value that nobody knew before"))
    cut = {
        "axes": [{"name": "data", "size": 2}, {"name": "model", "size": 2}],
        "state": [[], [[], []], [[]], [["model"], []]],
        "batch": ["data"],
    }
    yield Base("plain", "every checkpoint is kept, and the last segment has one step", plain, opened=(1, 4))
    yield Base("salted", "salted records, a prover, a beacon", plain, (("secret", SECRET), *signed), opened=(2,))
    yield Base("pieces", "a leaf that is cut into 4 pieces", plain, pieces=(2, 2), opened=(3,), steps=3)
    yield Base("witness", "a state digest for every third step", plain, (("witness_interval", 3),), opened=(4,))
    yield Base("thinned", "a checkpoint is left out", plain, keep_every=2)
    yield Base("tuned", "begins with the weights of plain", plain, parent="plain", opened=(1,), steps=2)
    yield Base("stopped", "it may stop early, and did", plain, (("may_stop_early", True),), steps=5)
    yield Base("threefry", "typed PRNG keys of threefry2x32", drawing(), opened=(2,))
    yield Base("rbg", "typed PRNG keys of rbg", drawing(), (("prng", "rbg"),), opened=(2,))
    yield Base("unsafe_rbg", "typed PRNG keys of unsafe_rbg", drawing(), (("prng", "unsafe_rbg"),))
    yield Base("bfloat16", "weights in bfloat16", line(jnp.bfloat16), opened=(2,), steps=2)
    yield Base("x64", "weights and records in float64", line(jnp.float64), opened=(2,), steps=2, wide=True)
    yield Base("bare", "a state that is one array, with the empty path", bare(), opened=(1,))
    yield Base("exact", "exact arithmetic", replace(plain, arithmetic="exact"), steps=2)
    yield Base("mesh", "arrays cut over four devices", plain, pieces=(2, 1), mesh=cut, steps=2)
    yield Base("changed", "an intervention after step 1", plain, opened=(2,), steps=3, changed=True)


def make(base: Base, folder: Path) -> None:
    """Train with a proof in ``folder/proofs``, and open the steps that are to be opened."""
    root, choices = folder / "proofs" / base.name, dict(base.choices)
    if base.parent:
        choices["start"] = pol_jax.Start(pol_jax.open_proof(root.parent / base.parent), ("/w",))
    chosen = pol_jax.Choices(seed=f"conformance {base.name}", **choices)
    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(base.wide))
        stack.enter_context(_other_prover(base))
        if base.changed:
            _train_changing(base, root, chosen)
        elif base.name == "stopped":
            _stop_early(base, root, chosen)
        else:
            pol_jax.train(base.task, root, steps=base.steps, keep_every=base.keep_every, choices=chosen)
        if base.opened:
            proof, secret = pol_jax.open_proof(root), choices.get("secret")
            opening = pol_jax.open_steps(proof, base.task.source, base.opened, secret=secret)
            pol_jax.write_opening(root.with_suffix(".opening"), opening)


def _train_changing(base: Base, root: Path, choices: pol_jax.Choices) -> None:
    with pol_jax.Recording(base.task, root, steps=base.steps, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            if inputs.step == 2:
                state = recording.intervene(state, {"/w": jnp.full((4, 2), 0.5)}, "a change for this kit")
            state, _ = recording.step(state, inputs)


def _stop_early(base: Base, root: Path, choices: pol_jax.Choices) -> None:
    """Commit to more steps than are run."""
    true = commit.commitment_of

    def longer(task: Any, steps: int, *rest: Any) -> Any:
        return true(task, steps + 100, *rest)

    with mock.patch.object(commit, "commitment_of", longer):
        pol_jax.train(base.task, root, steps=base.steps, choices=choices)


def _other_prover(base: Base) -> ExitStack:
    """Return a context in which this prover does what it does not offer: it cuts leaves into pieces, names a mesh."""
    stack, leaf_spec, commitment_of = ExitStack(), pytrees._leaf_spec, commit.commitment_of

    def with_pieces(path: str, leaf: Any) -> Any:
        made = leaf_spec(path, leaf)
        return msgspec.structs.replace(made, pieces=base.pieces) if path == "/w" else made

    def with_mesh(*given: Any) -> Any:
        return msgspec.structs.replace(commitment_of(*given), mesh=msgspec.convert(base.mesh, Mesh))

    if base.pieces:
        stack.enter_context(mock.patch.object(pytrees, "_leaf_spec", with_pieces))
    if base.mesh:
        stack.enter_context(mock.patch.object(commit, "commitment_of", with_mesh))
    return stack


def make_missing(folder: Path) -> None:
    """Train what is not there yet, and copy the proof of version 1."""
    first = folder / "proofs" / VERSION_1
    if not first.exists():
        shutil.copytree(folder.parent / "frozen/pol-jax-1/jax-0.10.2/plain", first)
        shutil.copy(folder.parent / "frozen/pol-jax-1/jax-0.10.2/plain.opening", first.with_suffix(".opening"))
    for base in bases():
        if not (folder / "proofs" / base.name).exists():
            make(base, folder)
            print("made", base.name, file=sys.stderr)

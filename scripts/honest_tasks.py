"""Honest tasks of many kinds, small: what training does that rounding may turn over, and no verifier may reject.

Each is addressable as ``honest_tasks:NAME`` where this directory can be imported from. They train a network of two
layers on digits, with another optimizer, normalisation, precision, branch or state each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attacked
import jax
import jax.numpy as jnp
import optax

from pol_jax import Task
from pol_jax.training.task import Key, PyTree

STEPS, INTERVAL, BATCH, HIDDEN = 8, 4, 16, 24

Layer = Callable[[jax.Array], jax.Array]
Extra = Callable[[PyTree, PyTree, jax.Array, PyTree, Key], PyTree]
"""``extra(old state, new parameters, loss, gradient, key)`` returns what the state holds beside parameters."""


def parameters(key: Key) -> PyTree:
    """Return weights and biases of two layers, and a scale for norms."""
    first, second = jax.random.split(key)
    return {
        "first": jax.random.normal(first, (64, HIDDEN)) / 8,
        "bias": jnp.zeros(HIDDEN),
        "scale": jnp.ones(HIDDEN),
        "second": jax.random.normal(second, (HIDDEN, 10)) / 5,
    }


def plain(hidden: jax.Array) -> jax.Array:
    """Return what a layer gives as it is."""
    return hidden


def _batch_norm(hidden: jax.Array) -> jax.Array:
    """Return each unit with mean 0 and variance 1 over the batch."""
    return (hidden - hidden.mean(0)) * jax.lax.rsqrt(hidden.var(0) + 1e-5)


def _layer_norm(hidden: jax.Array) -> jax.Array:
    """Return each example with mean 0 and variance 1 over its units."""
    return (hidden - hidden.mean(1, keepdims=True)) * jax.lax.rsqrt(hidden.var(1, keepdims=True) + 1e-5)


def _rms_norm(hidden: jax.Array) -> jax.Array:
    """Return each example divided by the root of its mean square."""
    return hidden * jax.lax.rsqrt(jnp.square(hidden).mean(1, keepdims=True) + 1e-6)


def _group_norm(hidden: jax.Array) -> jax.Array:
    """Return groups of four units with mean 0 and variance 1."""
    return _layer_norm(hidden.reshape(-1, 4)).reshape(hidden.shape)


def loss_of(norm: Layer, active: Layer, dtype: Any, dropout: float) -> Callable[[PyTree, PyTree, Key], jax.Array]:
    """Return the loss of a network."""

    def loss(params: PyTree, batch: PyTree, key: Key) -> jax.Array:
        cast = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
        hidden = active(norm(batch["image"].astype(dtype) @ cast["first"] + cast["bias"]) * cast["scale"])
        if dropout:
            hidden = jnp.where(jax.random.bernoulli(key, 1 - dropout, hidden.shape), hidden / (1 - dropout), 0)
        logits = (hidden @ cast["second"]).astype(jnp.float32)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))

    return loss


def task_of(
    name: str,
    optimizer: optax.GradientTransformation,
    norm: Layer = plain,
    active: Layer = jax.nn.relu,
    dtype: Any = jnp.float32,
    dropout: float = 0.0,
    first: Callable[[PyTree], PyTree] | None = None,
    extra: Extra | None = None,
) -> Task:
    """Return a task; ``first`` gives what the state has beside parameters and optimizer, and ``extra`` updates it."""
    loss = loss_of(norm, active, dtype, dropout)

    def init(key: Key) -> PyTree:
        params = parameters(key)
        return {"params": params, "optimizer": optimizer.init(params), "extra": first(params) if first else {}}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        value, gradient = jax.value_and_grad(loss)(state["params"], batch, key)
        update, inner = optimizer.update(gradient, state["optimizer"], state["params"])
        params = optax.apply_updates(state["params"], update)
        more = extra(state["extra"], params, value, gradient, key) if extra else state["extra"]
        return {"params": params, "optimizer": inner, "extra": more}, {"loss": value}

    return Task(f"honest {name}", init, step, attacked.digits(), BATCH, STEPS, INTERVAL)


def _branching(name: str) -> Task:
    """Return a task whose rate is halved when the loss did not fall, by a branch of the program."""

    def init(key: Key) -> PyTree:
        return {"params": parameters(key), "rate": jnp.float32(0.3), "last": jnp.float32(10)}

    loss = loss_of(plain, jax.nn.relu, jnp.float32, 0.0)

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        value, gradient = jax.value_and_grad(loss)(state["params"], batch, key)
        rate = jax.lax.cond(value < state["last"], lambda rate: rate, lambda rate: rate / 2, state["rate"])
        params = jax.tree.map(lambda a, b: a - rate * b, state["params"], gradient)
        return {"params": params, "rate": rate, "last": value}, {"loss": value}

    return Task(f"honest {name}", init, step, attacked.digits(), BATCH, STEPS, INTERVAL)


def _searching(name: str) -> Task:
    """Return a task that halves its rate in a loop until the loss falls enough: a line search."""
    loss = loss_of(plain, jnp.tanh, jnp.float32, 0.0)

    def init(key: Key) -> PyTree:
        return {"params": parameters(key), "tries": jnp.int32(0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        params = state["params"]
        value, gradient = jax.value_and_grad(loss)(params, batch, key)
        square = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient))

        def moved(rate: jax.Array) -> PyTree:
            return jax.tree.map(lambda a, b: a - rate * b, params, gradient)

        def too_far(rate: jax.Array) -> jax.Array:
            return jnp.logical_and(loss(moved(rate), batch, key) > value - 0.1 * rate * square, rate > 1e-3)

        rate = jax.lax.while_loop(too_far, lambda rate: rate / 2, jnp.float32(4))
        return {"params": moved(rate), "tries": state["tries"] + 1}, {"loss": value}

    return Task(f"honest {name}", init, step, attacked.digits(), BATCH, STEPS, INTERVAL)


def _history(old: PyTree, params: PyTree, loss: jax.Array, gradient: PyTree, key: Key) -> PyTree:
    return {"at": old["at"] + 1, "losses": old["losses"].at[old["at"]].set(loss)}


def _average(old: PyTree, params: PyTree, loss: jax.Array, gradient: PyTree, key: Key) -> PyTree:
    return jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, old, params)


def _quantised(old: PyTree, params: PyTree, loss: jax.Array, gradient: PyTree, key: Key) -> PyTree:
    return jnp.clip(jnp.round(params["second"] * 100), -127, 127).astype(jnp.int8)


def _key(old: PyTree, params: PyTree, loss: jax.Array, gradient: PyTree, key: Key) -> PyTree:
    return jax.random.fold_in(old, 1)


def _multi_steps(rate: float) -> optax.GradientTransformation:
    many = optax.MultiSteps(optax.sgd(rate), 2)
    return optax.GradientTransformation(many.init, many.update)


TASKS: Final[Mapping[str, Callable[[str], Task]]] = {
    "adamw": lambda name: task_of(name, optax.adamw(1e-2)),
    "adagrad": lambda name: task_of(name, optax.adagrad(0.05)),
    "rmsprop": lambda name: task_of(name, optax.rmsprop(3e-3)),
    "adafactor": lambda name: task_of(name, optax.adafactor(1e-2)),
    "lamb": lambda name: task_of(name, optax.lamb(1e-2)),
    "lion": lambda name: task_of(name, optax.lion(1e-3)),
    "yogi": lambda name: task_of(name, optax.yogi(1e-2)),
    "novograd": lambda name: task_of(name, optax.novograd(1e-2)),
    "sm3": lambda name: task_of(name, optax.sm3(0.05)),
    "signs": lambda name: task_of(name, optax.sign_sgd(1e-3)),
    "clipped": lambda name: task_of(name, optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.2, momentum=0.9))),
    "accumulated": lambda name: task_of(name, _multi_steps(0.2)),
    "batch_norm": lambda name: task_of(name, optax.adam(1e-2), _batch_norm),
    "layer_norm": lambda name: task_of(name, optax.adam(1e-2), _layer_norm),
    "rms_norm": lambda name: task_of(name, optax.adam(1e-2), _rms_norm, jax.nn.silu),
    "group_norm": lambda name: task_of(name, optax.sgd(0.1), _group_norm),
    "bfloat16": lambda name: task_of(name, optax.adam(1e-2), dtype=jnp.bfloat16),
    "float16": lambda name: task_of(name, optax.sgd(0.1), _layer_norm, dtype=jnp.float16),
    "dropout": lambda name: task_of(name, optax.sgd(0.1, momentum=0.9, nesterov=True), dropout=0.3),
    "gelu": lambda name: task_of(name, optax.adam(1e-2), active=jax.nn.gelu),
    "history": lambda name: task_of(
        name, optax.sgd(0.1), first=lambda _: {"at": jnp.int32(0), "losses": jnp.zeros(STEPS)}, extra=_history
    ),
    "averaged": lambda name: task_of(name, optax.sgd(0.1), first=lambda params: params, extra=_average),
    "quantised": lambda name: task_of(
        name, optax.sgd(0.1), first=lambda _: jnp.zeros((HIDDEN, 10), jnp.int8), extra=_quantised
    ),
    "keyed": lambda name: task_of(name, optax.sgd(0.1), first=lambda _: jax.random.key(3), extra=_key),
    "branching": _branching,
    "searching": _searching,
}
"""All tasks, by name."""


def __getattr__(name: str) -> Callable[..., Task]:
    """Return a function that makes the task of this name, as ``honest_tasks:NAME`` asks for it."""
    if name not in TASKS:
        raise AttributeError(name)
    return lambda data_dir=None, steps=None: TASKS[name](name)

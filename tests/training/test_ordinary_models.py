"""Models and losses that people write are steps like others: all of them train in one step, bit for bit reproduced."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tiny
from flax import linen as nn
from flax import nnx
from flax.core import FrozenDict
from flax.training.train_state import TrainState
from unsandboxed import verify

import pol_jax
from pol_jax.protocol.policies import AllSegments

Array = jax.Array
ONE = np.zeros((1, tiny.FEATURES), np.float32)


def loss_of(logits: Array, batch: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()


def weights(key: Array) -> dict[str, Array]:
    return {"w": 0.1 * jax.random.normal(key, (tiny.FEATURES, tiny.CLASSES)), "b": jnp.zeros(tiny.CLASSES)}


def descended(params: Any, gradient: Any, rate: float = 0.1) -> Any:
    return jax.tree.map(lambda leaf, slope: leaf - rate * slope, params, gradient)


class Model(NamedTuple):
    """How a model begins, and what one step makes of it."""

    init: Callable[[Array], Any]
    step: Callable[[Any, Any, Array], tuple[Any, Array]]


class Normed(nn.Module):
    """Batch statistics, dropout and a counter: collections that a step changes."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Logits."""
        x = nn.Dropout(0.2, deterministic=False)(nn.relu(nn.BatchNorm(use_running_average=False)(nn.Dense(8)(x))))
        count = self.variable("counter", "n", lambda: jnp.zeros((), jnp.int32))
        count.value = count.value + 1
        return nn.Dense(tiny.CLASSES)(x)


class Trained(TrainState):  # type: ignore[no-untyped-call]
    """A train state with more than parameters in it; functions are no leaves of it."""

    others: Any


def linen_init(key: Array) -> Any:
    variables = dict(Normed().init({"params": key, "dropout": key}, ONE))
    params = variables.pop("params")
    return Trained.create(apply_fn=Normed().apply, params=params, tx=optax.adam(1e-2), others=variables)  # type: ignore[no-untyped-call]


def linen_step(state: Any, batch: Any, key: Array) -> Any:
    def loss(params: Any) -> Any:
        variables = {"params": params, **state.others}
        logits, others = state.apply_fn(
            variables, batch["x"], rngs={"dropout": key}, mutable=["batch_stats", "counter"]
        )
        return loss_of(logits, batch), others

    (value, others), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradient, others=others), value


@functools.partial(jax.tree_util.register_dataclass, data_fields=["w", "b", "count"], meta_fields=["name"])
@dataclasses.dataclass(frozen=True)
class Frozen:
    """A frozen dataclass, whose name is no leaf."""

    w: Any
    b: Any
    count: Any
    name: str = "m"


def frozen_step(state: Frozen, batch: Any, key: Array) -> tuple[Frozen, Array]:
    value, slope = jax.value_and_grad(lambda p: loss_of(batch["x"] @ p["w"] + p["b"], batch))(
        {"w": state.w, "b": state.b}
    )
    return Frozen(state.w - 0.1 * slope["w"], state.b - 0.1 * slope["b"], state.count + 1), value


class Dropped(nnx.Module):
    """An object whose state are parameters, statistics and keys."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(tiny.FEATURES, 8, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.last = nnx.Linear(8, tiny.CLASSES, rngs=rngs)

    def __call__(self, x: Array) -> Any:
        return self.last(self.dropout(nnx.relu(self.first(x))))


def nnx_step(state: Any, batch: Any, key: Array) -> Any:
    """The state of model and optimizer together, as `nnx.state` gives it."""
    model, optimizer = nnx.merge(GRAPH, state, copy=True)
    value, gradient = nnx.value_and_grad(lambda model: loss_of(model(batch["x"]), batch))(model)
    optimizer.update(model, gradient)
    return nnx.state((model, optimizer)), value


def nnx_objects(key: Array) -> Any:
    model = Dropped(nnx.Rngs(params=key, dropout=jax.random.fold_in(key, 1)))
    return model, nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)


GRAPH = nnx.graphdef(nnx.eval_shape(lambda: nnx_objects(jax.random.key(0))))


def layers_init(key: Array) -> Any:
    return {"middle": 0.2 * jax.random.normal(key, (3, tiny.FEATURES, tiny.FEATURES)), **weights(key)}


def layers_step(params: Any, batch: Any, key: Array) -> Any:
    """Layers are scanned, and recomputed for the gradient."""

    @jax.checkpoint
    def layer(hidden: Array, w: Array) -> tuple[Array, None]:
        return hidden + jnp.tanh(hidden @ w), None

    def loss(params: Any) -> Any:
        hidden, _ = jax.lax.scan(layer, batch["x"], params["middle"])
        return loss_of(hidden @ params["w"] + params["b"], batch)

    value, gradient = jax.value_and_grad(loss)(params)
    return descended(params, gradient), value


@jax.custom_vjp
def binary(x: Array) -> Array:
    return jnp.sign(x)


binary.defvjp(lambda x: (jnp.sign(x), x), lambda x, slope: (jnp.where(jnp.abs(x) < 1, slope, 0.0),))


def binary_step(params: Any, batch: Any, key: Array) -> Any:
    """Gradients go straight through a sign."""
    value, gradient = jax.value_and_grad(lambda p: loss_of(batch["x"] @ binary(p["w"]) + p["b"], batch))(params)
    return descended(params, gradient), value


def private_step(params: Any, batch: Any, key: Array) -> Any:
    """One gradient for each example, clipped, with noise."""

    def loss(params: Any, x: Array, label: Array) -> Any:
        return loss_of((x @ params["w"] + params["b"])[None], {"label": label[None]})

    values, each = jax.vmap(jax.value_and_grad(loss), (None, 0, 0))(params, batch["x"], batch["label"])
    scale = jnp.minimum(1.0, 1.0 / (jax.vmap(optax.tree.norm)(each) + 1e-6))
    mean = jax.tree.map(lambda leaf: jnp.einsum("n...,n->...", leaf, scale) / len(scale), each)
    keys = dict(zip(mean, jax.random.split(key, len(mean)), strict=True))
    noisy = jax.tree.map(lambda leaf, own: leaf + 0.01 * jax.random.normal(own, leaf.shape), mean, keys)
    return descended(params, noisy), values.mean()


def scaled_init(key: Array) -> Any:
    master = weights(key)
    return {"master": master, "scale": jnp.float32(2**15), "good": jnp.int32(0)}


def scaled_step(state: Any, batch: Any, key: Array) -> Any:
    """Parameters in bfloat16 with a copy in float32, and a scale of the loss that adapts."""
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), state["master"])

    def loss(params: Any) -> Any:
        logits = batch["x"].astype(jnp.bfloat16) @ params["w"] + params["b"]
        return loss_of(logits.astype(jnp.float32), batch) * state["scale"]

    value, gradient = jax.value_and_grad(loss)(half)
    gradient = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) / state["scale"], gradient)
    finite = jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)]))
    master = jax.tree.map(
        lambda old, new: jnp.where(finite, new, old), state["master"], descended(state["master"], gradient)
    )
    good = jnp.where(finite, state["good"] + 1, 0)
    grown = jnp.where(good % 4 == 0, state["scale"] * 2, state["scale"])
    return {"master": master, "scale": jnp.where(finite, grown, state["scale"] / 2), "good": good}, value / state[
        "scale"
    ]


def adversaries_init(key: Array) -> Any:
    return {"maker": 0.1 * jax.random.normal(key, (4, tiny.FEATURES)), "judge": jnp.ones((tiny.FEATURES, 1))}


def adversaries_step(state: Any, batch: Any, key: Array) -> Any:
    """Two networks with two losses, of which one is the step's."""
    noise = jax.random.normal(key, (len(batch["x"]), 4))

    def judged(judge: Array) -> Any:
        made = jnp.tanh(noise @ state["maker"])
        return jnp.mean(jax.nn.softplus(-(batch["x"] @ judge)) + jax.nn.softplus(made @ judge))

    value, slope = jax.value_and_grad(judged)(state["judge"])
    judge = state["judge"] - 0.1 * slope
    fooled = jax.grad(lambda maker: jnp.mean(jax.nn.softplus(-(jnp.tanh(noise @ maker) @ judge))))(state["maker"])
    return {"maker": state["maker"] - 0.1 * fooled, "judge": judge}, value


def episodes_init(key: Array) -> Any:
    return {"w": jnp.zeros(2), "baseline": jnp.float32(0)}


def episodes_step(state: Any, batch: Any, key: Array) -> Any:
    """REINFORCE: episodes of a toy environment, by a loop whose length depends on what is drawn."""

    def episode(start: Array, key: Array) -> Any:
        def act(carry: Any) -> Any:
            x, key, reward, slope, turn = carry
            key, own = jax.random.split(key)
            right = jax.nn.sigmoid(state["w"][0] * x + state["w"][1])
            action = jax.random.bernoulli(own, right)
            slope = slope + (action - right) * jnp.stack([x, 1.0])
            x = x + jnp.where(action, 0.2, -0.2)
            return x, key, reward - jnp.abs(x), slope, turn + 1

        going = (start, key, jnp.float32(0), jnp.zeros(2), 0)
        return jax.lax.while_loop(lambda carry: (jnp.abs(carry[0]) < 2) & (carry[4] < 20), act, going)

    starts = jnp.tanh(batch["x"][:, 0])
    _, _, rewards, slopes, _ = jax.vmap(episode)(starts, jax.random.split(key, len(starts)))
    better = (rewards - state["baseline"]) / 20
    w = state["w"] + 0.05 * jnp.mean(better[:, None] * slopes, 0)
    return {"w": w, "baseline": 0.9 * state["baseline"] + 0.1 * rewards.mean()}, -rewards.mean()


def averaged_init(key: Array) -> Any:
    return {"params": weights(key), "average": weights(key), "buffer": jnp.empty((2, 3))}


@functools.partial(jax.jit, donate_argnums=0)
def averaged_step(state: Any, batch: Any, key: Array) -> Any:
    """A function that is compiled already, with an average of the parameters and memory that nobody filled."""
    value, gradient = jax.value_and_grad(lambda p: loss_of(batch["x"] @ p["w"] + p["b"], batch))(state["params"])
    params = descended(state["params"], gradient)
    average = optax.incremental_update(params, state["average"], 0.01)
    return {"params": params, "average": average, "buffer": state["buffer"] + value}, value


MODELS = {
    "a train state of Linen": Model(linen_init, linen_step),
    "a frozen dataclass": Model(lambda key: Frozen(weights(key)["w"], weights(key)["b"], jnp.int32(0)), frozen_step),
    "objects of NNX": Model(lambda key: nnx.state(nnx_objects(key)), nnx_step),
    "scanned layers": Model(layers_init, layers_step),
    "a gradient of one's own": Model(weights, binary_step),
    "gradients of examples": Model(weights, private_step),
    "mixed precision": Model(scaled_init, scaled_step),
    "two networks": Model(adversaries_init, adversaries_step),
    "reinforcement": Model(episodes_init, episodes_step),
    "a donated average": Model(averaged_init, averaged_step),
}


def init(key: Array) -> Any:
    return {name: model.init(jax.random.fold_in(key, place)) for place, (name, model) in enumerate(MODELS.items())}


def step(state: Any, batch: Any, key: Array) -> Any:
    results = {
        name: model.step(state[name], batch, jax.random.fold_in(key, place))
        for place, (name, model) in enumerate(MODELS.items())
    }
    losses = {name: loss for name, (_, loss) in results.items()}
    metrics: Any = FrozenDict({"loss": sum(losses.values()), "a/b ü": jnp.int32(3), "right": jnp.bool_(True), **losses})  # type: ignore[no-untyped-call]
    return {name: new for name, (new, _) in results.items()}, metrics


def test_all_of_them_in_one_step(tmp_path: Path) -> None:
    task, told = pol_jax.Task("models", init, step, pol_jax.Arrays(tiny.points()), 8, 6, 3), list[Any]()
    pol_jax.train(task, tmp_path / "proof", on_step=lambda _, metrics: told.append(metrics))
    assert all(np.isfinite(value) for metrics in told for value in metrics.values())
    assert told[0].keys() == {"loss", "a/b ü", "right", *MODELS}
    report = verify(tmp_path / "proof", task.source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.mode == "bits", report.reasons

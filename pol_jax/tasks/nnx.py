"""A training step of Flax NNX, which changes objects in place, becomes the pure functions that a task needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx

from pol_jax.training.task import Key, PyTree

StepFunction = Callable[[PyTree, PyTree, Key], tuple[PyTree, Mapping[str, jax.Array]]]


def from_nnx(
    build: Callable[[nnx.Rngs], Any], train_step: Callable[..., Mapping[str, jax.Array]]
) -> tuple[Callable[[Key], PyTree], StepFunction]:
    """Return ``init`` and ``step`` of a task that trains objects of Flax NNX.

    The state of a task made with them is what `flax.nnx.state` says of the objects, as nested dicts. Random numbers of
    the objects, such as those of dropout, come from their own ``Rngs``, which are a part of that state.

    Example:
        >>> def build(rngs):
        ...     model = Model(rngs=rngs)
        ...     return model, nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
        >>> def train_step(model, optimizer, batch):
        ...     loss, gradient = nnx.value_and_grad(loss_of)(model, batch)
        ...     optimizer.update(model, gradient)
        ...     return {"loss": loss}
        >>> init, step = pol_jax.from_nnx(build, train_step)
        >>> task = pol_jax.Task("mine", init, step, source, batch_size=128, steps=1000)

    Args:
        build: ``build(rngs)`` returns an object of NNX, or a tuple of several.
        train_step: ``train_step(*objects, batch)`` changes the objects and returns the metrics, with a ``"loss"``.
    """

    def objects_of(key: Key) -> tuple[Any, ...]:
        built = build(nnx.Rngs(key))
        return built if isinstance(built, tuple) else (built,)

    def init(key: Key) -> PyTree:
        return nnx.to_pure_dict(nnx.state(objects_of(key)))

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, Mapping[str, jax.Array]]:
        # The key only decides shapes here: every value comes from the state.
        graph, empty = nnx.split(nnx.eval_shape(lambda: objects_of(jax.random.key(0))))
        nnx.replace_by_pure_dict(empty, state)
        objects = nnx.merge(graph, empty)
        metrics = train_step(*objects, batch)
        return nnx.to_pure_dict(nnx.state(objects)), metrics

    return init, step

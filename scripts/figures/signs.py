"""This figure shows a cause of the error: units near 0 whose sign differs in another compilation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from figures.bench import Bench
from figures.errors import Setup
from figures.points import Point
from figures.recipes import BATCH, RESNET20
from pol_jax.training.export import structure_of
from pol_jax.verifying.compilations import DEFAULT, variants

SAME, OTHER, HELD = "all signs as in the reference", "at least one sign otherwise", "every step, signs held"


def signs(setup: Setup) -> Iterator[Point]:
    """Measure the error of ResNet-20's gradient between compilations, as computed and with the reference's signs held.

    A ReLU multiplies its input by 1 where the input is positive and by 0 elsewhere; with signs held, by 1 where the
    input was positive in the reference. That moves no output by more than rounding does, and removes from the gradient
    what a differing sign adds to it.
    """
    if not setup.has("cifar10"):
        return
    task, steps = RESNET20.task(setup.source("cifar10")), [0, 1] if setup.quick else [*range(12), *range(40, 48)]
    setup.note(f"ResNet-20 on CIFAR-10: SGD with momentum 0.9, rate 0.1, batch {BATCH}; the gradient at each state")
    bench, structure, record = Bench.of(task, (DEFAULT,)), structure_of(task, "threefry2x32"), task.source[0]
    compiled = dict[tuple[str, bool], Callable[..., Any]]()
    for at, before in bench.states(0, steps).items():
        state, given = structure.state([jnp.asarray(leaf) for leaf in before]), bench.inputs(0, at, 1)[0]
        batch = jax.tree.unflatten(jax.tree.structure(record), given.batch)
        inputs = (state.params, state.batch_stats, batch, jax.random.wrap_key_data(jnp.asarray(given.key)))
        held = None
        for variant in variants():
            free, positive = _run(compiled, variant, *inputs, None)
            if held is None:
                held, reference = positive, free
                reference_held, _ = _run(compiled, variant, *inputs, held)
                continue
            bound, _ = _run(compiled, variant, *inputs, held)
            otherwise = sum(int(np.sum(a != b)) for a, b in zip(positive, held, strict=True))
            build = f"{variant.name}: {otherwise} of {sum(each.size for each in held)} signs otherwise"
            panel = "first steps" if at < 12 else "later"
            yield Point(panel, OTHER if otherwise else SAME, at + 1, build, _relative(reference, free))
            yield Point(panel, HELD, at + 1, build, _relative(reference_held, bound))


def _run(compiled: dict[tuple[str, bool], Callable[..., Any]], variant: Any, *inputs: Any) -> tuple[Any, list[Any]]:
    """Return the gradient, and for each unit of each ReLU whether its input was positive."""
    key = (variant.name, inputs[-1] is None)
    if key not in compiled:
        options = dict(variant.options) or None
        compiled[key] = jax.jit(_gradient).lower(*inputs).compile(compiler_options=options)
    gradient, positive = compiled[key](*inputs)
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in jax.tree.leaves(gradient)]), positive


def _gradient(params: Any, stats: Any, batch: Any, key: jax.Array, held: list[jax.Array] | None) -> tuple[Any, Any]:
    graph = nnx.graphdef(nnx.eval_shape(lambda: RESNET20.build(nnx.Rngs(0))))

    def loss_of(params: Any) -> tuple[jax.Array, list[jax.Array]]:
        seen: list[jax.Array] = []

        def relu(x: jax.Array) -> jax.Array:
            seen.append(x > 0)
            positive = seen[-1] if held is None else held[len(seen) - 1]
            return x * jax.lax.stop_gradient(positive.astype(x.dtype))

        with patch.object(nnx, "relu", relu):  # the network's own, while it is traced
            logits = RESNET20.apply(nnx.merge(graph, params, stats, copy=True), batch, key)
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), seen

    gradient, seen = jax.grad(loss_of, has_aux=True)(params)
    return gradient, seen


def _relative(reference: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(other - reference) / np.linalg.norm(reference))

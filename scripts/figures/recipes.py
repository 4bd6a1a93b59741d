"""The figures train the built-in tasks, made small, and variations of them that have no built-in setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from pol_jax import Arrays, Task, load_task
from pol_jax.tasks.cifar import augmented, normalized
from pol_jax.tasks.cifar10 import NORMALIZATION
from pol_jax.tasks.digits import CNN, scaled, shifted
from pol_jax.tasks.resnet import BasicBlock, Bottleneck, Images, ResNet, resnet20

RECORDS = {"cifar10": 2000, "shakespeare": 3200}
"""Training uses only the first so many records: an epoch is 63 steps of 32 images, 100 of 32 windows of text."""

BATCH = 32
Apply = Callable[[Any, Any, jax.Array], jax.Array]


class State(NamedTuple):
    """A step changes all of this."""

    params: Any
    batch_stats: Any
    optimizer: optax.OptState


@dataclass(frozen=True)
class Recipe:
    """A recipe trains a classifier, and its parts can be varied.

    Attributes:
        name: of the task that it is a variation of, and of the model.
        build: the model, with its initial weights drawn from the given streams.
        apply: ``apply(model, batch, key) -> logits``, augmentation and dropout included.
        rate: learning rate.
        optimizer: of a learning rate.
        batch: records a step.
    """

    name: str
    build: Callable[[nnx.Rngs], nnx.Module]
    apply: Apply
    rate: float = 0.1
    optimizer: Callable[[float], optax.GradientTransformation] = lambda rate: optax.sgd(rate, momentum=0.9)
    batch: int = BATCH

    def task(self, source: Any) -> Task:
        """Return the task of training it on ``source``, at a constant learning rate."""
        optimizer = self.optimizer(self.rate)
        graph = nnx.graphdef(nnx.eval_shape(lambda: self.build(nnx.Rngs(0))))

        def init(key: jax.Array) -> State:
            model = self.build(nnx.Rngs(key))
            params, stats = (nnx.to_pure_dict(nnx.state(model, kind)) for kind in (nnx.Param, nnx.BatchStat))
            return State(params, stats, optimizer.init(params))

        def loss_of(params: Any, stats: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Any]:
            model = nnx.merge(graph, params, stats, copy=True)
            loss = optax.softmax_cross_entropy_with_integer_labels(self.apply(model, batch, key), batch["label"])
            return loss.mean(), nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))

        def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
            gradient_of = jax.value_and_grad(loss_of, has_aux=True)
            (loss, stats), gradient = gradient_of(state.params, state.batch_stats, batch, key)
            updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
            return State(optax.apply_updates(state.params, updates), stats, optimizer_state), {"loss": loss}

        return Task(self.name, init, step, source, self.batch, steps=100)


def small(name: str, data_dir: Path | None, steps: int) -> Task:
    """Return a built-in task on its first records, with small batches where its own take long."""
    task = load_task(name, data_dir=data_dir, steps=steps)
    if name not in RECORDS:
        return task
    first: Any = task.source
    return replace(task, source=Arrays(first.records_at(np.arange(RECORDS[name]))), batch_size=BATCH)


def _see_digits(model: Any, batch: Any, key: jax.Array) -> jax.Array:
    shift, dropout = jax.random.split(key)
    logits: jax.Array = model(shifted(scaled(batch["image"]), shift), dropout)
    return logits


def _see_cifar(model: Any, batch: Any, key: jax.Array) -> jax.Array:
    logits: jax.Array = model(normalized(augmented(batch["image"], key), NORMALIZATION), train=True)
    return logits


DIGITS = Recipe("digits", lambda rngs: CNN(rngs=rngs), _see_digits, batch=64)
RESNET20 = Recipe("cifar10", lambda rngs: resnet20(10, rngs=rngs), _see_cifar)
RESNET50 = Recipe("cifar10", lambda rngs: ResNet(Bottleneck, (3, 4, 6, 3), 16, 10, rngs=rngs), _see_cifar)
"""This has ResNet-50's depths, and a quarter of its channels."""


def two_pass(recipe: Recipe) -> Recipe:
    """Return the same network with batch norm that takes the mean of squared deviations, not E[x²] - E[x]²."""

    def build(rngs: nnx.Rngs) -> nnx.Module:
        model = recipe.build(rngs)
        for _, module in nnx.iter_modules(model):
            if isinstance(module, nnx.BatchNorm):
                module.use_fast_variance = False
        return model

    return replace(recipe, build=build)


class SmoothBlock(BasicBlock):
    """This is a `BasicBlock` with SiLU in place of ReLU."""

    def __call__(self, x: Images, train: bool) -> Images:
        """Do what the block does."""
        y = nnx.silu(self.norm1(self.conv1(x), use_running_average=not train))
        y = self.norm2(self.conv2(y), use_running_average=not train)
        shortcut = x[:, :: self.stride, :: self.stride]
        return nnx.silu(y + jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, self.extra))))


class SmoothResNet(ResNet):
    """This is a `ResNet` with SiLU in place of ReLU after its first convolution."""

    def __call__(self, x: Images, train: bool) -> jax.Array:
        """Return logits, as the network does."""
        x = nnx.silu(self.norm(self.conv(x), use_running_average=not train))
        for block in self.blocks:
            x = block(x, train)
        logits: jax.Array = self.linear(x.mean((1, 2)))
        return logits


SMOOTH20 = replace(RESNET20, build=lambda rngs: SmoothResNet(SmoothBlock, (3, 3, 3), 16, 10, rngs=rngs))

"""A classifier in Equinox with batch norm and dropout, whose random bits come from a generator of its own (PCG)."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.random import define_prng_impl

OPTIMIZER = optax.adam(1e-2)


def pcg(values: jax.Array) -> jax.Array:
    """Return the permuted congruential hash of 32-bit numbers (Jarzynski and Olano, 2020)."""
    values = values * jnp.uint32(747796405) + jnp.uint32(2891336453)
    word = ((values >> ((values >> 28) + 4)) ^ values) * jnp.uint32(277803737)
    return (word >> 22) ^ word


def _bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    numbers = jnp.arange(int(np.prod(shape)), dtype=jnp.uint32).reshape(shape)
    return pcg(pcg(numbers ^ key[0]) ^ key[1]).astype(f"uint{width}")


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return _bits(pcg(key ^ jnp.uint32(0x9E3779B9)), 32, (*shape, 2))


PCG = define_prng_impl(
    key_shape=(2,),
    seed=lambda seed: jnp.stack([pcg(seed.astype(jnp.uint32)), jnp.uint32(0)]),
    split=_split,
    random_bits=_bits,
    fold_in=lambda key, data: pcg(key ^ pcg(data.astype(jnp.uint32))),
    name="pcg",
    tag="pcg",
)


class Net(eqx.Module):
    """Two layers with batch norm and dropout."""

    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        one, two = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(8, 32, key=one), eqx.nn.Linear(32, 3, key=two)
        self.norm = eqx.nn.BatchNorm(32, "batch", mode="batch")
        self.dropout = eqx.nn.Dropout(0.1)

    def __call__(self, x: jax.Array, state: eqx.nn.State, key: jax.Array) -> Any:
        """Return the logits, and the new statistics."""
        x, state = self.norm(self.first(x), state)
        return self.last(self.dropout(jax.nn.relu(x), key=key)), state


_, STATIC = eqx.partition(eqx.nn.make_with_state(Net)(jax.random.key(0))[0], eqx.is_array)


def create(key: jax.Array) -> Any:
    """Return parameters, statistics and the state of the optimizer."""
    model, statistics = eqx.nn.make_with_state(Net)(key)
    params = eqx.filter(model, eqx.is_array)
    return params, statistics, OPTIMIZER.init(params)


def train_step(state: Any, batch: Any, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
    """Return the state after one step."""
    params, statistics, optimizer = state
    key = jax.random.wrap_key_data(jax.random.key_data(key), impl=PCG)

    def loss_of(params: Any) -> tuple[jax.Array, Any]:
        model, keys = eqx.combine(params, STATIC), jax.random.split(key, len(batch["x"]))
        logits, new = jax.vmap(model, axis_name="batch", in_axes=(0, None, 0), out_axes=(0, None))(
            batch["x"], statistics, keys
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), new

    (loss, statistics), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, optimizer = OPTIMIZER.update(gradient, optimizer, params)
    return (eqx.apply_updates(params, updates), statistics, optimizer), {"loss": loss}


def points() -> dict[str, np.ndarray]:
    """Return clouds of points, one for each class."""
    label = np.arange(240, dtype=np.int32) % 3
    noise = np.random.default_rng(0).normal(size=(240, 8))
    return {"x": (noise + label[:, None]).astype(np.float32), "label": label}


DATA = points()


def train(steps: int = 60) -> list[float]:
    """Train, and return the losses."""
    losses: list[float] = []
    step, state, random = jax.jit(train_step), create(jax.random.key(0)), np.random.default_rng(1)
    for rows in random.integers(0, 240, (steps, 16)):
        batch = {name: leaf[rows] for name, leaf in DATA.items()}
        state, metrics = step(state, batch, jax.random.key(random.integers(2**31)))
        losses.append(float(metrics["loss"]))
    return losses

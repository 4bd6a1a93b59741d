"""A decoder in Linen trained by a TrainState, as large-scale trainers do it: scanned and rematerialised layers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

import pol_jax

CONFIG = {"vocabulary": 32, "width": 16, "layers": 3, "heads": 2, "length": 12, "accumulate": 2, "rate": 3e-3}


class Block(nn.Module):
    """A layer of the decoder; its class is scanned over the layers, and computed again in the backward pass."""

    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        """Return the output of the layer."""
        mask = nn.make_causal_mask(jnp.ones(x.shape[:2]))
        x = x + nn.MultiHeadDotProductAttention(int(CONFIG["heads"]))(nn.LayerNorm()(x), mask=mask)
        hidden = nn.Dense(4 * int(CONFIG["width"]))(nn.LayerNorm()(x))
        return x + nn.Dense(int(CONFIG["width"]))(nn.gelu(hidden)), None


class Decoder(nn.Module):
    """A small decoder."""

    @nn.compact
    def __call__(self, tokens: jax.Array) -> Any:
        """Return the logits of the next tokens."""
        x = nn.Embed(int(CONFIG["vocabulary"]), int(CONFIG["width"]))(tokens)
        layers = nn.scan(nn.remat(Block), {"params": 0}, split_rngs={"params": True}, length=int(CONFIG["layers"]))
        x, _ = layers()(x, None)
        return nn.Dense(int(CONFIG["vocabulary"]))(nn.LayerNorm()(x))


def create(key: jax.Array) -> TrainState:
    """Return the state of a training that begins."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(CONFIG["rate"]))
    params = Decoder().init(key, jnp.zeros((1, int(CONFIG["length"])), jnp.int32))["params"]
    return TrainState.create(apply_fn=Decoder().apply, params=params, tx=optimizer)


def train_step(state: TrainState, tokens: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
    """Return the state after one step, whose gradient is that of several parts of the batch."""

    def loss_of(params: Any, part: jax.Array) -> jax.Array:
        logits = state.apply_fn({"params": params}, part[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, part[:, 1:]).mean()

    parts = tokens.reshape(int(CONFIG["accumulate"]), -1, tokens.shape[-1])
    losses, gradients = jax.lax.map(lambda part: jax.value_and_grad(loss_of)(state.params, part), parts)
    gradient = jax.tree.map(lambda leaf: leaf.mean(0), gradients)
    return state.apply_gradients(grads=gradient), {"loss": losses.mean(), "norm": optax.tree.norm(gradient)}


def sequences() -> np.ndarray:
    """Return sequences that count up from a random token."""
    first = np.random.default_rng(0).integers(0, 32, (200, 1))
    return ((first + np.arange(int(CONFIG["length"]) + 1)) % 32).astype(np.int32)


DATA = sequences()


task = pol_jax.Task("decoder", create, lambda state, tokens, key: train_step(state, tokens), DATA, 16, 60)


def train(out: str) -> list[float]:
    """Train, and return the losses."""
    losses: list[float] = []
    pol_jax.train(task, out, on_step=lambda _, metrics: losses.append(metrics["loss"]))
    return losses

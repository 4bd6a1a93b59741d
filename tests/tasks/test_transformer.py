"""The transformer is causal and knows the order."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from standin import KEY

from pol_jax.tasks import shakespeare
from pol_jax.tasks.transformer import Transformer


def test_transformer_is_causal() -> None:
    model = shakespeare.build(nnx.Rngs(0))
    graph, state = nnx.split(model)
    noise = iter(jax.random.split(KEY, 100))
    x = jax.random.normal(KEY, (1, 8, shakespeare.WIDTH))
    np.testing.assert_array_equal(model.blocks[0](x, None), x)
    # Untrained blocks are the identity, which is causal for no merit of theirs.
    state = jax.tree.map(lambda x: x + 0.05 * jax.random.normal(next(noise), x.shape), state)
    model = nnx.merge(graph, state)
    text = jnp.arange(64)[None]
    logits, changed = model(text), model(text.at[0, 40].set(200))
    np.testing.assert_allclose(logits[0, :40], changed[0, :40], atol=1e-5)
    assert all(float(jnp.abs(logits[0, i] - changed[0, i]).max()) > 1e-3 for i in (40, 41, 63))
    assert not np.array_equal(model(text, nnx.Rngs(1)), logits)
    np.testing.assert_array_equal(model(text, nnx.Rngs(1)), model(text, nnx.Rngs(1)))


def test_transformer_knows_the_order() -> None:
    # In one layer, attention without positions would see the past as a set.
    model = Transformer(256, 1, 32, 4, 0.0, rngs=nnx.Rngs(0))
    model.blocks[0].out.kernel[...] = jax.random.normal(KEY, (32, 32))
    text = jnp.arange(16)[None]
    last, swapped = model(text)[0, -1], model(text.at[0, :2].set(jnp.array([1, 0])))[0, -1]
    assert float(jnp.abs(last - swapped).max()) > 1e-4

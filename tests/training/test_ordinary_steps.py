"""Operations and layers that ordinary models have train, and are reproduced bit for bit; see also portable_linalg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from unsandboxed import verify

import pol_jax
from pol_jax.protocol.policies import AllSegments

CELL = nn.RNN(nn.LSTMCell(4))  # its recurrent weights are orthogonal at first, which takes a QR decomposition
X = np.random.default_rng(0).normal(size=(16, 3, 4)).astype(np.float32)


def init(key: jax.Array) -> Any:
    return CELL.init(key, X[:1])


def operations(x: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
    """One number of each operation, which becomes a metric."""
    rows, keys = x.reshape(len(x), -1), iter(jax.random.split(key, 5))
    return {
        "top": jax.lax.top_k(rows[0], 3)[0][0],
        "sorted": jnp.sort(rows[0])[0],
        "order": jnp.argsort(rows[0])[0],
        "running": jnp.cumsum(rows[0])[-1],
        "median": jnp.median(rows),
        "clipped": jnp.clip(rows, jnp.quantile(rows, 0.1), jnp.quantile(rows, 0.9)).sum(),
        "fourier": jnp.abs(jnp.fft.fft(rows))[0, 0],
        "error": jax.scipy.special.erf(rows[0, 0]),
        "gamma": jax.random.gamma(next(keys), 2.0),
        "poisson": jax.random.poisson(next(keys), 3.0),
        "class": jax.random.categorical(next(keys), rows[0]),
        "choice": jax.random.choice(next(keys), 5),
        "permuted": jax.random.permutation(next(keys), 10)[0],
    }


def step(state: Any, batch: Any, key: jax.Array) -> Any:
    def loss_of(params: Any) -> Any:
        hidden: Any = CELL.apply(params, batch)
        return jnp.mean(hidden**2)

    loss, gradient = jax.value_and_grad(loss_of)(state)
    new = jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, state, gradient)
    return new, {"loss": loss, **operations(batch, key)}


def test_all_of_them_in_one_step(tmp_path: Path) -> None:
    task, told = pol_jax.Task("ordinary", init, step, X, batch_size=4, steps=3), list[Any]()
    pol_jax.train(task, tmp_path / "proof", on_step=lambda _, metrics: told.append(metrics))
    assert all(np.isfinite(value) for metrics in told for value in metrics.values())
    report = verify(tmp_path / "proof", task.source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.mode == "bits", report.reasons

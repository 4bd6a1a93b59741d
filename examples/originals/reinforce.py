"""REINFORCE (Williams, 1992) in an environment written in JAX: the records are the seeds of episodes.

A walker on a line must reach the middle. An episode is a pure function of the policy, its seed and the step's key.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

LENGTH, EPISODES = 12, 64
OPTIMIZER = optax.adam(3e-2)


def create(key: jax.Array) -> Any:
    """Return a policy that takes each direction with the same probability."""
    params = {"w": 0.01 * jax.random.normal(key, (2, 2)), "b": jnp.zeros(2)}
    return {"params": params, "optimizer": OPTIMIZER.init(params), "baseline": jnp.float32(0)}


def episode(params: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the log probability of the actions of an episode, and its return."""

    def act(position: jax.Array, key: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        logits = jnp.stack([position, jnp.sign(position)]) @ params["w"] + params["b"]
        action = jax.random.categorical(key, logits)
        moved = jnp.clip(position + jnp.where(action == 0, -0.2, 0.2), -1, 1)
        return moved, (jax.nn.log_softmax(logits)[action], -jnp.abs(moved))

    begin, rest = jax.random.split(key)
    first = jax.random.uniform(begin, (), minval=-1.0)
    _, (log_probability, reward) = jax.lax.scan(act, first, jax.random.split(rest, LENGTH))
    return log_probability.sum(), reward.sum()


def train_step(state: Any, seeds: jax.Array, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
    """Return the state after one step of policy gradients."""
    keys = jax.vmap(lambda seed: jax.random.fold_in(key, seed))(seeds)

    def loss_of(params: Any) -> tuple[jax.Array, jax.Array]:
        log_probability, gain = jax.vmap(lambda each: episode(params, each))(keys)
        advantage = jax.lax.stop_gradient(gain - state["baseline"])
        return -jnp.mean(log_probability * advantage), gain.mean()

    (loss, gain), gradient = jax.value_and_grad(loss_of, has_aux=True)(state["params"])
    updates, optimizer = OPTIMIZER.update(gradient, state["optimizer"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    new = {"params": params, "optimizer": optimizer, "baseline": 0.9 * state["baseline"] + 0.1 * gain}
    return new, {"loss": loss, "gain": gain}


DATA = np.arange(1000)


def train(steps: int = 80) -> list[float]:
    """Train, and return the mean return of each step."""
    gains: list[float] = []
    step, state, key = jax.jit(train_step), create(jax.random.key(0)), jax.random.key(2)
    for number, seeds in enumerate(np.random.default_rng(1).choice(DATA, (steps, EPISODES))):
        state, metrics = step(state, seeds, jax.random.fold_in(key, number))
        gains.append(float(metrics["gain"]))
    return gains

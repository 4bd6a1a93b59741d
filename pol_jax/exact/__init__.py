"""Exact arithmetic makes programs that have the same bits, whatever compiles and runs them.

A training step becomes exact by one call, before it is jitted or exported:

    import jax
    import jax.numpy as jnp
    from pol_jax.exact import exact, self_test

    def step(weights, batch, key):
        noisy = batch + 0.1 * jax.random.normal(key, batch.shape)
        gradient = jax.grad(lambda w: jnp.mean(jnp.tanh(noisy @ w) ** 2))(weights)
        return weights - 0.1 * gradient

    weights = jax.jit(exact(step))(jnp.ones(3), jnp.ones((8, 3)), jax.random.key(0))
    assert self_test()  # this backend keeps the rules

`docs/exact.md` specifies ``exact/1``, every bit of it, and says why no compiler can change one.
"""

from pol_jax.exact.self_testing import SelfTest, self_test
from pol_jax.exact.transform import exact
from pol_jax.exact.vectors import ARITHMETIC

__all__ = ["ARITHMETIC", "SelfTest", "exact", "self_test"]

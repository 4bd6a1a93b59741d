"""Loops, branches and calls are evaluated exactly too, and mean what they did."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from exact_laws import by_numpy
from jax import lax

from pol_jax.exact import exact


def _loops(x: Any, n: Any) -> Any:
    def halved(carry: Any) -> Any:
        return carry[0] * 0.7 + 0.01, carry[1] + 1

    value, count = lax.while_loop(lambda carry: jnp.sum(carry[0]) > 1.5, halved, (x, 0))
    value = lax.cond(count > n, lambda v: v / 3, lambda v: v * 3, value)
    return lax.switch(n % 3, [jnp.sin, jnp.cos, jnp.tanh], value), count


@jax.custom_vjp
def _clipped(x: Any) -> Any:
    return jnp.clip(x * 1.3, -1, 1)


_clipped.defvjp(lambda x: (_clipped(x), x), lambda x, g: (g * jnp.exp(-x * x),))


def _many(x: Any, n: Any) -> Any:
    return (
        _loops(x, n),
        jax.grad(lambda x: jnp.sum(_clipped(x) * x))(x),
        jax.jvp(jax.nn.silu, (x,), (x,)),
        jax.vmap(lambda v: jnp.sort(v) @ v)(jnp.outer(x, x)),
        jax.grad(lambda x: jnp.sum(lax.associative_scan(jnp.multiply, jnp.sin(x))))(x),
        (x.astype(jnp.bfloat16) @ x.astype(jnp.bfloat16), jnp.linalg.norm(x), jnp.median(x)),
    )


def test_programs_mean_the_same() -> None:
    """Loops, branches, custom derivatives, transformations, half precision: near the plain program's results."""
    x, n = np.linspace(-0.9, 1.7, 7).astype(np.float32), np.int32(2)
    expected, found = jax.jit(_many)(x, n), jax.jit(exact(_many))(x, n)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        rough = 1e-2 if one.dtype == jnp.bfloat16 else 2e-6
        np.testing.assert_allclose(np.asarray(one, np.float64), np.asarray(other, np.float64), rtol=rough, atol=rough)


def test_a_call_is_evaluated_in_its_place() -> None:
    x = np.array([1.5, -2.0], np.float32)
    called = jax.jit(lambda x, y: x * y)
    assert by_numpy(lambda x: called(x, called(x, x)), x)[0].tolist() == [3.375, -8.0]
    remade = jax.checkpoint(lambda x: x * x + 1)
    assert by_numpy(lambda x: remade(x), x)[0].tolist() == [3.25, 5.0]


def test_a_scan_carries_and_collects_in_either_direction() -> None:
    x = np.arange(1, 5, dtype=np.float32)

    def sums(x: Any) -> Any:
        def added(carry: Any, element: Any) -> Any:
            return carry + element * x[0], carry

        return lax.scan(added, x[0] * 0, x)

    last, before = by_numpy(sums, x)
    assert (float(last), before.tolist()) == (10, [0, 1, 3, 6])

"""Instrumented programs: they compute what they did, show what decides, and use what they are given."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from instrumented_steps import Function, X, nothing, observed, run
from jax import lax

from pol_jax.program.instrumentation import BITS


def pooled(x: jax.Array) -> jax.Array:
    return jnp.sum(lax.reduce_window(jnp.tanh(x), -jnp.inf, lax.max, (1, 2), (1, 2), "VALID") ** 2)


def loop(x: jax.Array) -> Any:
    return lax.while_loop(lambda y: jnp.sum(jnp.abs(y)) > 1, lambda y: jnp.maximum(y, -0.3) * 0.5, x)


def loop_of_a_loop(x: jax.Array) -> Any:
    def condition(y: jax.Array) -> jax.Array:
        return lax.while_loop(lambda z: z < 3, lambda z: z + 1.3, jnp.sum(y)) < 4

    return lax.while_loop(condition, lambda y: y + 0.11, jnp.tanh(x))


def nested_loops(x: jax.Array) -> Any:
    def branch(y: jax.Array) -> Any:
        return lax.cond(jnp.sum(y) > 0, lambda: jnp.maximum(y, 0) - 0.1, lambda: jnp.abs(y) + jnp.floor(y))

    return lax.fori_loop(0, 3, lambda _, y: lax.fori_loop(0, 2, lambda _, z: branch(z), jnp.sin(y)), x)


def branches_of_one_value(x: jax.Array) -> Any:
    y = jnp.tanh(x)
    return lax.switch((x[0, 0] > 0).astype(jnp.int32), [lambda: jnp.maximum(y, 0), lambda: jnp.sign(y)])


def captured(x: jax.Array) -> Any:
    y = jnp.tanh(x)
    return lax.fori_loop(0, 4, lambda _, z: z + jnp.where(y > 0.1 * z, y, -z), x) + jnp.maximum(y, 0)


FUNCTIONS: list[Function] = [
    jax.grad(pooled),
    loop,
    loop_of_a_loop,
    nested_loops,
    branches_of_one_value,
    captured,
    lambda x: lax.scan(lambda y, z: (jnp.maximum(y, z), jnp.sign(y)), jnp.cos(x[0]), jnp.sin(x)),
    lambda x: (lax.top_k(jnp.tanh(x), 3), jnp.argmax(jnp.sin(x), -1), jnp.argsort(jnp.cos(x), -1)),
    lambda x: lax.clamp(-0.5, jnp.tanh(x), jnp.mean(x)),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_computes_what_it_did(function: Function) -> None:
    program, step = observed(function)
    plain, _ = jax.jit(program.call)((X,), (X,), np.zeros(2, np.uint32))
    leaves, _, shown, counts = run(step, nothing(step))
    assert len(step.sites) > 0
    assert len(shown) == len(step.shown)
    assert len(counts) == sum(each.nested for each in step.shown)
    for expected, got in zip(plain, leaves, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_shown_can_be_given_back(function: Function) -> None:
    _, step = observed(function)
    leaves, _, shown, _ = run(step, nothing(step))
    of_sites = [np.asarray(array) for each, array in zip(step.shown, shown, strict=True) if each.site is not None]
    given = [array.view(BITS[site.dtype]) for array, site in zip(of_sites, step.sites, strict=True)]
    again, _, _, _ = run(step, given)
    for expected, got in zip(leaves, again, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_each_turn_of_a_loop_is_shown_and_given_by_itself() -> None:
    def function(x: jax.Array) -> Any:
        return lax.fori_loop(0, 3, lambda _, y: jnp.maximum(y - 0.5, 0), x)

    _, step = observed(function)
    given = nothing(step)
    _, _, (shown,), (count,) = run(step, given)
    y = X
    for turn in range(3):
        np.testing.assert_allclose(shown[turn], y - np.float32(0.5), rtol=1e-6)
        y = np.maximum(y - np.float32(0.5), 0)
    assert int(count) == 3
    given[0][1, 2, 3] = np.float32(7).view(np.uint32)  # in the second turn
    (leaf,), _, (shown,), _ = run(step, given)
    assert float(leaf[2, 3]) == 6.5
    assert float(shown[1, 2, 3]) != 7, "what is shown is the program's own"
    assert float(shown[2, 2, 3]) == 6.5


def test_executions_beyond_the_capacity_are_counted() -> None:
    def function(x: jax.Array) -> Any:
        return lax.fori_loop(0, 5, lambda _, y: jnp.maximum(y - 0.5, 0), x)

    program, step = observed(function, capacity=2)
    (leaf,), _, (shown,), (count,) = run(step, nothing(step))
    assert (int(count), shown.shape) == (5, (3, 4, 8))
    np.testing.assert_array_equal(leaf, jax.jit(program.call)((X,), (X,), np.zeros(2, np.uint32))[0][0])


def test_the_turns_of_a_loop_follow_a_given_comparison() -> None:
    _, step = observed(loop)
    given = nothing(step)
    assert step.sites[0].shape == ()
    given[0][...] = np.float32(0).view(np.uint32)  # the sum before the first turn: the loop is not entered
    (leaf,), _, _, _ = run(step, given)
    np.testing.assert_array_equal(leaf, X)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_operands_of_half_precision_are_shown_and_replaced(dtype: Any) -> None:
    _, step = observed(lambda x: jnp.maximum(jnp.tanh(x.astype(dtype)), 0).astype(jnp.float32))
    assert step.sites[0].dtype == jnp.dtype(dtype).name
    given = nothing(step)
    given[0][1, 1] = np.array(0.5, dtype).view(np.uint16)
    (leaf,), _, _, _ = run(step, given)
    assert float(leaf[1, 1]) == 0.5

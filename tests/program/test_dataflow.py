"""Which outputs of a program depend on which inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import pytest
from exported_functions import VECTOR, exported
from jax import lax

from pol_jax.program.audit import audit


@jax.jit
def crossed(x: jax.Array, y: jax.Array) -> Any:
    return y, x + 1


def body_that_hands_on(each: Any) -> Any:
    """What is in the last slot needs three rounds to reach the first."""
    a, b, c, n = each
    return a + b, b + c, c, n + 1


FLOWS: dict[str, tuple[Callable[..., Any], list[set[int]]]] = {
    "plain": (lambda x, y, z: (x + y, y, jnp.ones(3)), [{0, 1}, {1}, set()]),
    "call": (lambda x, y, z: crossed(x, z), [{2}, {0}]),
    "twice": (lambda x, y, z: crossed(*crossed(x, y)), [{0}, {1}]),
    "loop": (
        lambda x, y, z: lax.while_loop(lambda each: each[3] < 9, body_that_hands_on, (x, y, z, 0))[:3],
        [{0, 1, 2}, {1, 2}, {2}],
    ),
    "loop that ends by": (
        lambda x, y, z: lax.while_loop(lambda each: each[1].sum() < 9, lambda each: (each[0] * 2, each[1] + 1), (x, y)),
        [{0, 1}, {1}],
    ),
    "loop in a loop": (
        lambda x, y, z: lax.fori_loop(
            0, 3, lambda _, each: lax.fori_loop(0, 2, lambda _, inner: (inner[0] + z, inner[1]), each), (x, y)
        ),
        [{0, 2}, {1}],
    ),
    "branch": (lambda x, y, z: lax.cond(z.sum() > 0, lambda: (x, y), lambda: (y, y + 1)), [{0, 1, 2}, {1, 2}]),
    "scan": (lambda x, y, z: lax.scan(lambda c, each: (c + each, z), x, y), [{0, 1}, {2}]),
    "reduce": (lambda x, y, z: (lax.reduce(x, y[0], lambda a, b: a * b, (0,)), z.sum()), [{0, 1}, {2}]),
    "barrier": (lambda x, y, z: lax.optimization_barrier((x, z)), [{0}, {2}]),
    "sorted": (lambda x, y, z: lax.sort((x, y), num_keys=1), [{0, 1}, {0, 1}]),
    "times zero": (lambda x, y, z: (x * 0 + y,), [{0, 1}]),
}


@pytest.mark.parametrize("name", FLOWS)
def test_each_result_depends_on_the_arguments_that_flow_into_it(name: str) -> None:
    function, expected = FLOWS[name]
    assert [set(found) for found in audit(exported(function, VECTOR, VECTOR, VECTOR)).depends] == expected


def bits(x: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(x, jnp.uint32)


@jax.jit
def mixed(x: jax.Array, y: jax.Array) -> jax.Array:
    return x + bits(y)


READS: dict[str, tuple[Callable[..., Any], set[int]]] = {
    "plain": (lambda x, y, z: (x + y, bits(z)), {2}),
    "of a sum": (lambda x, y, z: (bits(x + y), z), {0, 1}),
    "dropped": (lambda x, y, z: (x, y, z + (bits(y) & 0)), {1}),
    "call": (lambda x, y, z: (mixed(x, y), mixed(z, x)), {0, 1}),
    "condition of a loop": (
        lambda x, y, z: lax.while_loop(lambda each: (bits(each[0]) > 7).all(), lambda each: (each[1], z), (x, y)),
        {0, 1, 2},
    ),
    "body of a loop": (
        lambda x, y, z: lax.fori_loop(0, 3, lambda _, each: (each[0] + (bits(each[1]) & 1), each[1]), (x, y)),
        {1},
    ),
    "branch": (lambda x, y, z: lax.cond(z.sum() > 0, lambda: bits(x), lambda: bits(y)), {0, 1}),
    "as a narrower float": (lambda x, y, z: (lax.bitcast_convert_type(x, jnp.float16).sum(), y), {0}),
    "of integers": (lambda x, y, z: (lax.bitcast_convert_type(x.astype(jnp.int32), jnp.float32), y), set()),
    "not at all": (lambda x, y, z: (x + y, jnp.floor(z)), set()),
}


@pytest.mark.parametrize("name", READS)
def test_whose_bits_are_read(name: str) -> None:
    function, expected = READS[name]
    assert set(audit(exported(function, VECTOR, VECTOR, VECTOR)).reads) == expected

"""Calls of Python in a step are found and named before the step is exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import io_callback

from pol_jax.training.host_calls import host_calls

Function = Callable[[jax.Array], Any]


def debug_print(x: jax.Array) -> jax.Array:
    jax.debug.print("{}", x)
    return x


def debug_callback(x: jax.Array) -> jax.Array:
    jax.debug.callback(lambda _: None, x)
    return x


def pure(x: jax.Array) -> jax.Array:
    same: jax.Array = jax.pure_callback(lambda y: y, x, x)
    return same


def ordered(x: jax.Array) -> jax.Array:
    io_callback(lambda _: None, None, x)
    return x


def calls(function: Function) -> list[str]:
    return host_calls(jax.jit(function).trace(jnp.ones(3)).jaxpr)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (debug_print, "jax.debug.print"),
        (debug_callback, "jax.debug.callback"),
        (pure, "jax.pure_callback"),
        (ordered, "jax.experimental.io_callback"),
    ],
)
def test_a_call_is_found_wherever_it_is(function: Function, name: str) -> None:
    def in_branch(x: jax.Array) -> Any:
        return jax.lax.cond(x[0] > 0, function, lambda y: y, x)

    def in_loop(x: jax.Array) -> Any:
        return jax.lax.fori_loop(0, 3, lambda _, y: jax.jit(function)(y), x)

    for each in (function, in_branch, in_loop, jax.checkpoint(function)):
        assert calls(each) == [name]


def test_a_pure_function_has_none() -> None:
    assert calls(lambda x: jax.lax.scan(lambda c, y: (c + y, y), x[0], x)[1]) == []

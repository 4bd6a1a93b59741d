"""`exact` makes of a function one that has the same bits whatever compiles and runs it (docs/exact.md)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pol_jax.errors import UsageError
from pol_jax.exact.conversions import entered, left, widened
from pol_jax.exact.guard import Guard, opaque_zero
from pol_jax.exact.interpreter import check_type, evaluated
from pol_jax.exact.values import FLOAT32, Array, bits, is_float

Function = TypeVar("Function", bound=Callable[..., Any])


def exact(function: Function) -> Function:
    """Return a function of the same signature whose results have the same bits on every backend.

    It is traced, evaluated by the rules of `exact/1` (docs/exact.md), and may be jitted, vmapped, and exported, but not
    differentiated: write ``exact(jax.grad(loss))``, not ``jax.grad(exact(loss))``.

    One number of the arguments keeps compilers from changing roundings, because they don't know it: the first one of
    the last array that is traced (a step's key, by convention). So jit or export a function of what changes from call
    to call, not one whose arguments are all constants.

    Args:
        function: a pure function of arrays and pytrees of them to arrays and pytrees of them.

    Raises:
        TaskError: when called, if the function uses an operation or a type that isn't covered.
        UsageError: when called, if no argument is an array with elements, or when differentiated.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*args, **kwargs)
        given = jax.tree.leaves((args, kwargs))
        source = source_of_zero(given)
        leaves = [_leaf(leaf) for leaf in given]
        results = _undifferentiable(lambda *values: _run(closed, values, source))(*leaves)
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return wrapped  # type: ignore[return-value]


def _leaf(leaf: Any) -> Any:
    array = leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf)
    check_type(array.dtype, "in an argument")
    return array


def _run(closed: Any, leaves: Sequence[Array], source: int) -> list[Array]:
    # float64 and int64 values stay inside: results have the types of the function's own
    with jax.enable_x64(True):
        guard = Guard(opaque_zero(_word(leaves[source])))
        return [left(x) for x in evaluated(guard, closed, [entered(leaf) for leaf in leaves])]


def source_of_zero(leaves: Sequence[Any]) -> int:
    """Return which argument the opaque zero is made of: the last one with elements, if possible one that is traced.

    Raises:
        UsageError: none has elements.
    """
    filled = [index for index, leaf in enumerate(leaves) if np.size(leaf)]
    if not filled:
        raise UsageError("exact needs an argument with elements: without one, a compiler knows all values beforehand")
    # What is constant in the caller's program is known to the compiler, which would fold the zero that is made of it.
    traced = [index for index in filled if isinstance(leaves[index], jax.core.Tracer)]
    return (traced or filled)[-1]


def _word(leaf: Array) -> Array:
    """Return a uint32 scalar made of the first number of an array."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    first = lax.squeeze(lax.slice(lax.reshape(leaf, (leaf.size,)), (0,), (1,)), [0])
    if is_float(first):
        first = bits(widened(first) if first.dtype != FLOAT32 else first)
    return lax.convert_element_type(first, np.uint32)


def _undifferentiable(function: Callable[..., list[Array]]) -> Callable[..., list[Array]]:
    """Return a function that refuses to be differentiated: the derivative of arithmetic on bits is 0."""
    guarded = jax.custom_jvp(function)

    def refuse(primals: Any, tangents: Any) -> Any:
        raise UsageError("an exact function has no derivative: differentiate first, as in exact(jax.grad(loss))")

    guarded.defjvp(refuse)
    return guarded

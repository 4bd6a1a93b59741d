"""In programs of several devices (`jax.shard_map`), sums over devices are added in one fixed order.

A sum over devices is rounded in the order in which a backend's algorithm meets them, which depends on how devices are
connected. Here every device gets the terms of all, in the order of the mesh, and adds them as any other sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.sharding import PartitionSpec

from pol_jax.errors import TaskError
from pol_jax.exact import extrema, sums
from pol_jax.exact.control import Context, Values
from pol_jax.exact.conversions import narrowed, widened
from pol_jax.exact.extrema import Reduce
from pol_jax.exact.guard import Guard
from pol_jax.exact.values import Array, is_float


def shard_map(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.shard_map`: the body is evaluated exactly on each device, with the same opaque zero.

    What varies between devices isn't tracked again: it was when the function was traced.
    """

    def body(zero: Array, *values: Array) -> tuple[Array, ...]:
        return tuple(context.guarded_by(Guard(zero)).closed(params["jaxpr"], values))

    mapped = jax.shard_map(
        body,
        mesh=params["mesh"],
        in_specs=(PartitionSpec(), *params["in_specs"]),
        out_specs=tuple(params["out_specs"]),
        axis_names=set(params["newly_manual_axes"]),
        check_vma=False,
    )
    results: Values = mapped(context.guard.zero, *arguments)
    return results


def summed(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.psum`."""
    return [_total(context.guard, _of_all(x, params)) for x in arguments]


def largest(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.pmax`, in which NaN wins on every backend."""
    return [_extremum(_of_all(x, params), extrema.maximum_of, lax.reduce_max) for x in arguments]


def smallest(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.pmin`, in which NaN wins on every backend."""
    return [_extremum(_of_all(x, params), extrema.minimum_of, lax.reduce_min) for x in arguments]


def scattered_sum(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.psum_scatter`: each device gets the terms of its own part, and adds them."""
    (x,), at, devices = arguments, params["scatter_dimension"], params["axis_size"]
    if params["tiled"]:
        x = lax.reshape(x, (*x.shape[:at], devices, x.shape[at] // devices, *x.shape[at + 1 :]))
    # The axis of the parts becomes a first axis with the terms of all devices, in the order of the mesh.
    terms = lax.all_to_all(x, params["axis_name"], at, 0, axis_index_groups=params["axis_index_groups"])
    return [_total(context.guard, terms)]


def gathered(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.all_gather`, also where its result is known to be the same on all devices."""
    return [
        lax.all_gather(
            arguments[0],
            params["axis_name"],
            axis_index_groups=params.get("axis_index_groups"),
            axis=params["all_gather_dimension"],
            tiled=params["tiled"],
        )
    ]


def unmarked(_: Context, __: dict[str, Any], arguments: Values) -> Values:
    """Return the operands of operations that only mark a value as different, or the same, on devices of an axis."""
    return arguments


def _total(guard: Guard, terms: Array) -> Array:
    """Return the sum over the first axis; integers are exact in any order."""
    if is_float(terms):
        return narrowed(sums.total(guard, widened(terms), [0]), terms.dtype)
    total: Array = lax.reduce(terms, terms.dtype.type(0), lax.add, [0])
    return total


def _extremum(terms: Array, find: Callable[[Reduce, Array], Array], of_integers: Callable[..., Array]) -> Array:
    """Return the largest or smallest term over the first axis."""
    if is_float(terms):
        return narrowed(find(lambda each: lax.reduce_max(each, [0]), widened(terms)), terms.dtype)
    return of_integers(terms, [0])


def _of_all(x: Array, params: dict[str, Any]) -> Array:
    """Return the values of all devices along the axes, in the order of the mesh: a new first axis."""
    axes: Sequence[Any] = params["axes"]
    if not all(isinstance(axis, str) for axis in axes):
        raise TaskError(f"exact arithmetic doesn't cover collectives over unnamed axes ({axes}); name the mesh's axes")
    terms: Array = lax.all_gather(x, tuple(axes), axis_index_groups=params.get("axis_index_groups"))
    return terms

"""The bodies of loops, branches and calls are evaluated exactly too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.values import INT32, Array

Values = Sequence[Array]


@dataclass(frozen=True)
class Context:
    """A context is what a rule works with.

    Attributes:
        guard: single operations.
        evaluate: evaluates a jaxpr exactly, of its constants and arguments.
        guarded_by: the same with another guard, for a body that can't see this one's opaque zero.
    """

    guard: Guard
    evaluate: Callable[[Any, Sequence[Any], Values], list[Array]]
    guarded_by: Callable[[Guard], Context]

    def closed(self, jaxpr: Any, arguments: Values) -> list[Array]:
        """Return the results of a closed jaxpr, or of one without constants."""
        inner = getattr(jaxpr, "jaxpr", None)
        return self.evaluate(jaxpr, (), arguments) if inner is None else self.evaluate(inner, jaxpr.consts, arguments)


def call(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Evaluate the body of a function that jit, a custom derivative or another wrapper calls, in its place."""
    # Rules for derivatives are left out: an exact function has none (`pol_jax.exact.transform`).
    body = next(params[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in params)
    return context.closed(body, arguments)


def rematerialized(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Evaluate a function whose values are computed again in the backward pass, not kept until then."""
    # Without a barrier (jax's own lowering has one), a compiler merges the two computations, and keeps the values.
    if params.get("differentiated") and params.get("prevent_cse", True):
        arguments = lax.optimization_barrier(list(arguments))
    return context.closed(params["jaxpr"], arguments)


def while_loop(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.while_loop`."""
    of_condition, of_body = params["cond_nconsts"], params["body_nconsts"]
    condition_constants = arguments[:of_condition]
    body_constants = arguments[of_condition : of_condition + of_body]

    def condition(carry: tuple[Array, ...]) -> Array:
        return context.closed(params["cond_jaxpr"], (*condition_constants, *carry))[0]

    def body(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(context.closed(params["body_jaxpr"], (*body_constants, *carry)))

    return lax.while_loop(condition, body, tuple(arguments[of_condition + of_body :]))


def branch(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.cond` and `jax.lax.switch`."""
    index, *operands = arguments

    def branch_of(jaxpr: Any) -> Callable[..., tuple[Array, ...]]:
        return lambda *values: tuple(context.closed(jaxpr, values))

    branches = [branch_of(jaxpr) for jaxpr in params["branches"]]
    results: Values = lax.switch(lax.convert_element_type(index, INT32), branches, *operands)
    return results


def scan(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Compute `jax.lax.scan`."""
    constants, carried = _of_scan(params)
    fixed, initial, sequences = (
        arguments[:constants],
        arguments[constants : constants + carried],
        arguments[constants + carried :],
    )

    def body(carry: tuple[Array, ...], element: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        results = context.closed(params["jaxpr"], (*fixed, *carry, *element))
        return tuple(results[:carried]), tuple(results[carried:])

    carry, collected = lax.scan(
        body,
        tuple(initial),
        tuple(sequences),
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return (*carry, *collected)


def _of_scan(params: dict[str, Any]) -> tuple[int, int]:
    """Return how many operands of a scan are constants, and how many are carried; jax 0.12 has a tree of both."""
    if "ft_in" in params:
        constants, carried, _ = params["ft_in"].unpack()
        return len(constants), len(carried)
    return params["num_consts"], params["num_carry"]

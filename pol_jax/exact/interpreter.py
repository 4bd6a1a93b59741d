"""The interpreter evaluates a jaxpr, operation by operation, by the rules of exact arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

from pol_jax.exact import quotients
from pol_jax.exact.control import Context, Values
from pol_jax.exact.conversions import FLOATS, entered, narrowed, widened
from pol_jax.exact.guard import Guard
from pol_jax.exact.primitives import CONTROL, EXPENSIVE, OF_ANY_TYPE, OF_FLOATS, OF_INTEGERS, UNCHANGED
from pol_jax.exact.refusals import refuse, refuse_type, source_location
from pol_jax.exact.values import Array, canonical_constant, is_float

_KEYED = frozenset({"random_bits", "random_split", "random_fold_in", "random_seed"})
_THREEFRY = "threefry2x32"


def interpreter(guard: Guard) -> Context:
    """Return the interpreter of a program whose opaque zero is the guard's."""

    def evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Values) -> list[Array]:
        values: dict[Any, Array] = {}

        def read(atom: Any) -> Array:
            return constant(atom.val, atom.aval) if isinstance(atom, Literal) else values[atom]

        values.update(zip(jaxpr.constvars, (constant(value) for value in constants), strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))
        for equation in jaxpr.eqns:
            results = apply(context, equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    context = Context(guard, evaluate, interpreter)
    return context


def constant(value: Any, aval: Any = None) -> Array:
    """Return a constant of a program as an array; a float is made canonical, now if its value is known now."""
    # Typed keys have no NumPy array, and a traced value is not known yet.
    keys = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.extended)
    if keys or isinstance(value, jax.core.Tracer):
        return entered(value)
    array = np.asarray(value, None if aval is None else aval.dtype)
    if is_float(array):
        check_type(array.dtype, "in a constant")
        array = canonical_constant(array).astype(array.dtype)
    return jnp.asarray(array)


def apply(context: Context, equation: Any, arguments: Values) -> Values:
    """Return the results of one operation.

    Raises:
        TaskError: the operation or a type isn't covered.
    """
    name, params = equation.primitive.name, equation.params
    _check_types(equation)
    if name in CONTROL:
        return CONTROL[name](context, params, arguments)
    if name in OF_ANY_TYPE:
        return OF_ANY_TYPE[name](context, params, arguments)
    if name in UNCHANGED:
        return _bound(equation, arguments)
    # From here on the same primitive may be exact for integers, and in need of a rule for floats.
    floats = any(is_float(atom.aval) for atom in (*equation.invars, *equation.outvars))
    if not floats and name in OF_INTEGERS:
        _check_keys(equation)
        return _bound(equation, arguments)
    if floats and name in OF_FLOATS:
        return _in_float32(context, equation, arguments)
    raise refuse(name, equation)


def _in_float32(context: Context, equation: Any, arguments: Values) -> Values:
    """Return the results of an operation on floats: computed of float32 values, rounded to the result's type."""
    name = equation.primitive.name
    wide = [widened(x) if is_float(x) else x for x in arguments]
    # A product with the reciprocal of a constant costs less than a division, and has the same bits.
    divisor = _known_divisor(equation)
    if divisor:
        results: Values = [quotients.divide_by_constant(context.guard, wide[0], divisor)]
    else:
        results = OF_FLOATS[name](context, equation.params, wide)
    if name in EXPENSIVE:
        # a compiler that sees but cheap operations would compute them again in every loop that uses the result
        results = lax.optimization_barrier(list(results))
    return [
        narrowed(x, atom.aval.dtype) if is_float(x) else x for x, atom in zip(results, equation.outvars, strict=True)
    ]


def _known_divisor(equation: Any) -> float:
    """Return the finite constant that an operation divides by; 0 if there is none."""
    divisor = equation.invars[-1]
    if equation.primitive.name != "div" or not isinstance(divisor, Literal):
        return 0.0
    value = float(canonical_constant(divisor.val))
    return value if np.isfinite(value) else 0.0


def _bound(equation: Any, arguments: Values) -> Values:
    results = equation.primitive.bind(*arguments, **equation.params)
    return results if equation.primitive.multiple_results else [results]


def check_type(dtype: Any, where: str) -> None:
    """Refuse a type of numbers that isn't covered.

    Raises:
        TaskError: it is float64, an 8-bit float, or complex.
    """
    inexact = jnp.issubdtype(dtype, np.inexact)
    if inexact and dtype not in FLOATS:
        raise refuse_type(dtype, where)


def _check_types(equation: Any) -> None:
    for atom in (*equation.invars, *equation.outvars):
        dtype = getattr(atom.aval, "dtype", None)
        if dtype is not None and dtype not in FLOATS and jnp.issubdtype(dtype, np.inexact):
            raise refuse_type(dtype, source_location(equation))


def _check_keys(equation: Any) -> None:
    """Refuse generators whose numbers depend on the machine."""
    name = equation.primitive.name
    # It is listed as one of integers, only so that it is refused here, with its reason.
    if name == "rng_bit_generator":
        raise refuse(name, equation, "its algorithm depends on the machine")
    if name not in _KEYED:
        return
    implementations = [
        atom.aval.dtype for atom in (*equation.invars, *equation.outvars) if "key<" in str(atom.aval.dtype)
    ]
    for dtype in implementations:
        if dtype._impl.name != _THREEFRY:
            raise refuse(name, equation, f"a key of {dtype._impl.name}, whose numbers depend on the machine")


def evaluated(guard: Guard, closed: Any, arguments: Sequence[Array]) -> list[Array]:
    """Return the results of a closed jaxpr, exactly."""
    return interpreter(guard).closed(closed, arguments)

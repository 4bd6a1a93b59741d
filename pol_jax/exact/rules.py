"""A rule computes the equation of a primitive by functions on arrays that have the same bits everywhere.

It takes the parameters and the arguments of an equation, and returns its results. Which primitive has which rule is
in `pol_jax.exact.primitives`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jax import lax

from pol_jax.exact import conversions, exponentials, powers, products, quotients, scatters, sums, windows
from pol_jax.exact.control import Context, Values
from pol_jax.exact.extrema import Reduce
from pol_jax.exact.guard import Guard
from pol_jax.exact.values import FLOAT32, Array, bits, floats, flushed, full, stretched

Rule = Callable[[Context, dict[str, Any], Values], Values]


def unary(function: Callable[[Guard, Array], Array]) -> Rule:
    """Return the rule of a function of one array, element by element."""
    return lambda context, _, arguments: [function(context.guard, arguments[0])]


def binary(function: Callable[[Guard, Array, Array], Array]) -> Rule:
    """Return the rule of a function of two arrays, which are stretched to one shape first."""

    def rule(context: Context, _: dict[str, Any], arguments: Values) -> Values:
        shape = np.broadcast_shapes(*(x.shape for x in arguments))
        return [function(context.guard, *(stretched(x, shape) for x in arguments))]

    return rule


def with_params(function: Callable[..., Array]) -> Rule:
    """Return the rule of a function whose last argument is the parameters of the equation."""
    return lambda context, params, arguments: [function(context.guard, *arguments, params)]


def rounded_to_integers(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Round to integers by the method of the equation; no result is -0."""
    return [without_negative_zero(lax.round(arguments[0], params["rounding_method"]))]


def without_negative_zero(x: Array) -> Array:
    """Return ``x`` with 0 in the place of -0 and of values below 2**-100."""
    return floats(flushed(bits(x)))


def sign_of(x: Array) -> Array:
    """Return -1 for numbers below 0, 1 for those above, and any other element as it is."""
    below = lax.select(lax.lt(x, full(x, 0)), full(x, -1), x)
    return lax.select(lax.gt(x, full(x, 0)), full(x, 1), below)


def clamp(_: Context, __: dict[str, Any], arguments: Values) -> Values:
    """Return the second argument, held between the first and the third."""
    low, x, high = (stretched(value, arguments[1].shape) for value in arguments)
    return [lax.min(lax.max(low, x), high)]


def conversion(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Convert to the type that the equation names."""
    return [conversions.converted(arguments[0], params["new_dtype"])]


def reinterpretation(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Return the same bits, as elements of the type that the equation names."""
    return [conversions.reinterpreted(arguments[0], params["new_dtype"])]


def precision_reduced(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Round to numbers that have fewer bits of exponent and mantissa."""
    reduced = lax.reduce_precision(arguments[0], params["exponent_bits"], params["mantissa_bits"])
    return [without_negative_zero(reduced)]


def dot(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Multiply matrices in float32, whatever their types are."""
    a, b = (conversions.converted(x, FLOAT32) for x in arguments)
    return [products.dot_general(context.guard, a, b, params["dimension_numbers"])]


def _axes(params: dict[str, Any]) -> tuple[int, ...]:
    """Return the axes that a reduction takes away; those of some of jax's own rules are numpy's integers."""
    return tuple(map(int, params["axes"]))


def reduce_sum(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Sum over the axes of the equation."""
    return [sums.total(context.guard, arguments[0], _axes(params))]


def reduce_prod(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Multiply over the axes of the equation."""
    return [sums.product(context.guard, arguments[0], _axes(params))]


def reduced_by(find: Callable[[Reduce, Array], Array], primitive: Any) -> Rule:
    """Return the rule of a maximum or minimum, by the primitive that finds the largest integers."""
    return lambda _, params, arguments: [find(partial(primitive.bind, **params), arguments[0])]


def accumulated(combine: Callable[[Guard, Array, Array], Array], neutral: float) -> Rule:
    """Return the rule of an operation that combines each element with all those before it."""

    def rule(context: Context, params: dict[str, Any], arguments: Values) -> Values:
        def combined(x: Array, y: Array) -> Array:
            return combine(context.guard, x, y)

        return [sums.cumulative(combined, neutral, arguments[0], params["axis"], params["reverse"])]

    return rule


def log_add_exp(g: Guard, x: Array, y: Array) -> Array:
    """Return log(e**x + e**y) = max + log1p(e**(min - max))."""
    high, low = lax.max(x, y), lax.min(x, y)
    # Two equal infinities have no difference.
    difference = lax.select(lax.eq(high, low), full(x, 0), g.sub(low, high))
    value = g.add(high, exponentials.logarithm_plus_one(g, exponentials.exponential(g, difference)))
    return lax.select(lax.eq(high, full(x, -np.inf)), high, value)


def divided(context: Context, _: dict[str, Any], arguments: Values) -> Values:
    """Divide the first argument by the second."""
    x, y = arguments
    return [quotients.divide(context.guard, x, y)]


def power_by_integer(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Raise to the integer power of the equation."""
    return [powers.integer_power(context.guard, arguments[0], params["y"])]


def polynomial(context: Context, _: dict[str, Any], arguments: Values) -> Values:
    """Evaluate a polynomial by Horner's rule; coefficients come lowest first."""
    g = context.guard
    x, *coefficients = arguments
    value = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = g.add(g.mul(value, x), coefficient)
    return [stretched(value, x.shape)]


def scatter_of_any_type(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Write updates into an array."""
    operand, indices, updates = arguments
    return [scatters.scatter(operand, indices, updates, params)]


def sorted_stably(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Sort stably, since machines may order equal keys in different ways.

    NaNs are sorted by their bits, so they all get the same ones first.
    """
    operands = [conversions.left(x) for x in arguments]
    return lax.sort(operands, dimension=params["dimension"], is_stable=True, num_keys=params["num_keys"])


def gathered_from_best(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Return of each window the element of the first argument where the second one is best."""
    tangent, x = arguments
    return [windows.gather_from_best(x, tangent, params)]

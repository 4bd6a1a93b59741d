"""The table of primitives: what is exact as it is, and by which rule the others become so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from jax import lax

from pol_jax.exact import (
    collectives,
    control,
    conversions,
    convolutions,
    error_functions,
    exponentials,
    powers,
    products,
    quotients,
    remainders,
    scatters,
    sums,
    trigonometry,
    windows,
)
from pol_jax.exact.control import Context, Values
from pol_jax.exact.guard import Guard
from pol_jax.exact.values import FLOAT32, Array, absolute, bits, floats, flushed, full, negative, stretched

Rule = Callable[[Context, dict[str, Any], Values], Values]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNCHANGED: Final = _names(
    """
    all_to_all argmax argmin axis_index broadcast_in_dim concatenate copy cummax cummin dynamic_slice
    dynamic_update_slice empty empty2 eq gather ge gt iota is_finite layout_constraint le lt max mesh_cast min
    name ne optimization_barrier pad ppermute random_clone random_unwrap random_wrap reduce_and reduce_max
    reduce_min reduce_or reduce_window_max reduce_window_min reduce_xor reshape reshard rev scatter-max
    scatter-min select_n sharding_constraint slice split squeeze stack stop_gradient tile top_k transpose unstack
    """
)
"""Primitives that move, choose or compare values: exact on any machine, for floats as well."""

OF_INTEGERS: Final = _names(
    """
    abs add add_any and bitcast_convert_type clamp clz conv_general_dilated convert_element_type cumlogsumexp
    cumprod cumsum div dot_general eq_to integer_pow le_to lt_to mul mulhi neg not or population_count pow
    random_bits random_fold_in random_seed random_split reduce reduce_precision reduce_prod reduce_sum
    reduce_window reduce_window_sum rem rng_bit_generator scatter-add scatter-mul scatter-sub
    select_and_scatter_add shift_left shift_right_arithmetic shift_right_logical sign square sub threefry2x32
    xor
    """
)
"""Primitives that are exact, and stay as they are, where no operand and no result is a float."""


def _unary(function: Callable[[Guard, Array], Array]) -> Rule:
    return lambda context, _, arguments: [function(context.guard, arguments[0])]


def _binary(function: Callable[[Guard, Array, Array], Array]) -> Rule:
    def rule(context: Context, _: dict[str, Any], arguments: Values) -> Values:
        shape = np.broadcast_shapes(*(x.shape for x in arguments))
        return [function(context.guard, *(stretched(x, shape) for x in arguments))]

    return rule


def _with_params(function: Callable[..., Array]) -> Rule:
    return lambda context, params, arguments: [function(context.guard, *arguments, params)]


def _rounded_to_integers(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    return [without_negative_zero(lax.round(arguments[0], params["rounding_method"]))]


def without_negative_zero(x: Array) -> Array:
    """Return ``x``, of which values below 2**-100 and -0 are 0."""
    return floats(flushed(bits(x)))


def _sign(x: Array) -> Array:
    below = lax.select(lax.lt(x, full(x, 0)), full(x, -1), x)
    return lax.select(lax.gt(x, full(x, 0)), full(x, 1), below)


def _clamp(_: Context, __: dict[str, Any], arguments: Values) -> Values:
    low, x, high = (stretched(value, arguments[1].shape) for value in arguments)
    return [lax.min(lax.max(low, x), high)]


def _converted(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    return [conversions.converted(arguments[0], params["new_dtype"])]


def _reinterpreted(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    return [conversions.reinterpreted(arguments[0], params["new_dtype"])]


def _precision_reduced(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    reduced = lax.reduce_precision(arguments[0], params["exponent_bits"], params["mantissa_bits"])
    return [without_negative_zero(reduced)]


def _dot(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    a, b = (conversions.converted(x, FLOAT32) for x in arguments)
    return [products.dot_general(context.guard, a, b, params["dimension_numbers"])]


def _axes(params: dict[str, Any]) -> tuple[int, ...]:
    """Return the axes that a reduction takes away; those of some of jax's own rules are numpy's integers."""
    return tuple(map(int, params["axes"]))


def _reduce_sum(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    return [sums.total(context.guard, arguments[0], _axes(params))]


def _reduce_prod(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    return [sums.product(context.guard, arguments[0], _axes(params))]


def _cumulative(combine: Callable[[Guard, Array, Array], Array], neutral: float) -> Rule:
    def rule(context: Context, params: dict[str, Any], arguments: Values) -> Values:
        def combined(x: Array, y: Array) -> Array:
            return combine(context.guard, x, y)

        return [sums.cumulative(combined, neutral, arguments[0], params["axis"], params["reverse"])]

    return rule


def log_add_exp(g: Guard, x: Array, y: Array) -> Array:
    """Return log(e**x + e**y) = max + log1p(e**(min - max))."""
    high, low = lax.max(x, y), lax.min(x, y)
    difference = lax.select(lax.eq(high, low), full(x, 0), g.sub(low, high))
    value = g.add(high, exponentials.logarithm_plus_one(g, exponentials.exponential(g, difference)))
    return lax.select(lax.eq(high, full(x, -np.inf)), high, value)


def _divided(context: Context, _: dict[str, Any], arguments: Values) -> Values:
    x, y = arguments
    return [quotients.divide(context.guard, x, y)]


def _integer_power(context: Context, params: dict[str, Any], arguments: Values) -> Values:
    return [powers.integer_power(context.guard, arguments[0], params["y"])]


def _polynomial(context: Context, _: dict[str, Any], arguments: Values) -> Values:
    """Evaluate a polynomial by Horner's rule; coefficients come lowest first."""
    g = context.guard
    x, *coefficients = arguments
    value = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = g.add(g.mul(value, x), coefficient)
    return [stretched(value, x.shape)]


def _scatter(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    operand, indices, updates = arguments
    return [scatters.scatter(operand, indices, updates, params)]


def _sorted(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    """Sort stably, since machines may order equal keys in different ways. NaNs sort by their bits, so they get some."""
    operands = [conversions.left(x) for x in arguments]
    return lax.sort(operands, dimension=params["dimension"], is_stable=True, num_keys=params["num_keys"])


def _gathered_from_best(_: Context, params: dict[str, Any], arguments: Values) -> Values:
    tangent, x = arguments
    return [windows.gather_from_best(x, tangent, params)]


CONTROL: Final[dict[str, Rule]] = {
    "checkpoint": control.rematerialized,
    "closed_call": control.call,
    "composite": control.call,
    "cond": control.branch,
    "core_call": control.call,
    "custom_jvp_call": control.call,
    "custom_vjp_call": control.call,
    "jit": control.call,
    "pjit": control.call,
    "remat": control.rematerialized,
    "remat2": control.rematerialized,
    "remat_opt": control.call,
    "scan": control.scan,
    "shard_map": collectives.shard_map,
    "while": control.while_loop,
}
"""Rules of primitives that evaluate other programs."""

OF_ANY_TYPE: Final[dict[str, Rule]] = {
    "all_gather": collectives.gathered,
    "all_gather_invariant": collectives.gathered,
    "bitcast_convert_type": _reinterpreted,
    "convert_element_type": _converted,
    "pcast": collectives.unmarked,
    "pmax": collectives.largest,
    "pmin": collectives.smallest,
    "psum": collectives.summed,
    "psum_invariant": collectives.summed,
    "pvary": collectives.unmarked,
    "reduce_scatter": collectives.scattered_sum,
    "scatter": _scatter,
    "sort": _sorted,
}
"""Rules of primitives that see the types of their operands."""

OF_FLOATS: Final[dict[str, Rule]] = {
    "abs": _unary(lambda _, x: absolute(x)),
    "acos": _unary(trigonometry.arc_cosine),
    "acosh": _unary(exponentials.inverse_hyperbolic_cosine),
    "add": _binary(Guard.add),
    "add_any": _binary(Guard.add),
    "asin": _unary(trigonometry.arc_sine),
    "asinh": _unary(exponentials.inverse_hyperbolic_sine),
    "atan": _unary(trigonometry.arc_tangent),
    "atan2": _binary(trigonometry.arc_tangent_of_ratio),
    "atanh": _unary(exponentials.inverse_hyperbolic_tangent),
    "cbrt": _unary(exponentials.cube_root),
    "ceil": _unary(lambda _, x: without_negative_zero(lax.ceil(x))),
    "clamp": _clamp,
    "conv_general_dilated": _with_params(convolutions.convolution),
    "cos": _unary(trigonometry.cosine),
    "cosh": _unary(exponentials.hyperbolic_cosine),
    "cumlogsumexp": _cumulative(log_add_exp, -np.inf),
    "cumprod": _cumulative(Guard.mul, 1.0),
    "cumsum": _cumulative(Guard.add, 0.0),
    "div": _divided,
    "dot_general": _dot,
    "erf": _unary(error_functions.error_function),
    "erf_inv": _unary(error_functions.inverse_error_function),
    "erfc": _unary(error_functions.complementary_error_function),
    "exp": _unary(exponentials.exponential),
    "exp2": _unary(exponentials.base_two_exponential),
    "expm1": _unary(exponentials.exponential_minus_one),
    "floor": _unary(lambda _, x: without_negative_zero(lax.floor(x))),
    "integer_pow": _integer_power,
    "log": _unary(exponentials.logarithm),
    "log1p": _unary(exponentials.logarithm_plus_one),
    "log2": _unary(powers.base_two_logarithm),
    "logistic": _unary(exponentials.logistic),
    "mul": _binary(Guard.mul),
    "neg": _unary(lambda _, x: negative(x)),
    "one_minus_square": _unary(lambda g, x: g.mul(g.add(1, x), g.sub(1, x))),
    "nextafter": _binary(lambda _, x, y: without_negative_zero(lax.nextafter(x, y))),
    "polynomial": _polynomial,
    "pow": _binary(powers.power),
    "reduce_precision": _precision_reduced,
    "reduce_prod": _reduce_prod,
    "reduce_sum": _reduce_sum,
    "reduce_window_sum": _with_params(windows.window_sum),
    "rem": _binary(remainders.remainder),
    "round": _rounded_to_integers,
    "rsqrt": _unary(quotients.reciprocal_root),
    "scatter-add": _with_params(scatters.scatter_add),
    "scatter-sub": _with_params(scatters.scatter_sub),
    "select_and_gather_add": _gathered_from_best,
    "select_and_scatter_add": _with_params(windows.scatter_to_best),
    "sign": _unary(lambda _, x: _sign(x)),
    "sin": _unary(trigonometry.sine),
    "sinh": _unary(exponentials.hyperbolic_sine),
    "sqrt": _unary(quotients.square_root),
    "square": _unary(lambda g, x: g.mul(x, x)),
    "sub": _binary(Guard.sub),
    "tan": _unary(trigonometry.tangent),
    "tanh": _unary(exponentials.hyperbolic_tangent),
}
"""Rules of operations on float32 arrays. Arrays of half-precision floats are widened before and rounded after."""

EXPENSIVE: Final = _names(
    """
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh cumlogsumexp erf erf_inv erfc exp exp2 expm1 log log1p log2
    logistic pow rem sin sinh tan tanh
    """
)
"""Operations that take a long sequence of others."""

"""This table says which primitives are exact as they are, and by which rule the others become so."""

from __future__ import annotations

from typing import Final

import numpy as np
from jax import lax

from pol_jax.exact import (
    collectives,
    control,
    convolutions,
    error_functions,
    exponentials,
    extrema,
    powers,
    quotients,
    remainders,
    rules,
    scatters,
    trigonometry,
    windows,
)
from pol_jax.exact.guard import Guard
from pol_jax.exact.rules import Rule
from pol_jax.exact.values import absolute, negative


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNCHANGED: Final = _names(
    """
    all_to_all argmax argmin axis_index broadcast_in_dim concatenate copy cummax cummin dynamic_slice
    dynamic_update_slice empty empty2 eq gather ge gt iota is_finite layout_constraint le lt max mesh_cast min
    name ne optimization_barrier pad ppermute random_clone random_unwrap random_wrap reduce_and reduce_or
    reduce_xor reshape reshard rev scatter-max scatter-min select_n sharding_constraint slice split squeeze
    stack stop_gradient tile top_k transpose unstack
    """
)
"""Primitives that move, choose or compare values: exact on any machine, for floats as well."""

OF_INTEGERS: Final = _names(
    """
    abs add add_any and bitcast_convert_type clamp clz conv_general_dilated convert_element_type cumlogsumexp
    cumprod cumsum div dot_general eq_to integer_pow le_to lt_to mul mulhi neg not or population_count pow
    random_bits random_fold_in random_seed random_split reduce reduce_max reduce_min reduce_precision
    reduce_prod reduce_sum reduce_window reduce_window_max reduce_window_min reduce_window_sum rem
    rng_bit_generator scatter-add scatter-mul scatter-sub select_and_scatter_add shift_left
    shift_right_arithmetic shift_right_logical sign square sub threefry2x32 xor
    """
)
"""Primitives that are exact, and stay as they are, where no operand and no result is a float."""


# Some of these are one primitive under the names that it has in several versions of jax, such as pjit and jit.
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
    "bitcast_convert_type": rules.reinterpretation,
    "convert_element_type": rules.conversion,
    "pcast": collectives.unmarked,
    "pmax": collectives.largest,
    "pmin": collectives.smallest,
    "psum": collectives.summed,
    "psum_invariant": collectives.summed,
    "pvary": collectives.unmarked,
    "reduce_scatter": collectives.scattered_sum,
    "scatter": rules.scatter_of_any_type,
    "sort": rules.sorted_stably,
}
"""Rules of primitives that see the types of their operands."""

OF_FLOATS: Final[dict[str, Rule]] = {
    "abs": rules.unary(lambda _, x: absolute(x)),
    "acos": rules.unary(trigonometry.arc_cosine),
    "acosh": rules.unary(exponentials.inverse_hyperbolic_cosine),
    "add": rules.binary(Guard.add),
    "add_any": rules.binary(Guard.add),
    "asin": rules.unary(trigonometry.arc_sine),
    "asinh": rules.unary(exponentials.inverse_hyperbolic_sine),
    "atan": rules.unary(trigonometry.arc_tangent),
    "atan2": rules.binary(trigonometry.arc_tangent_of_ratio),
    "atanh": rules.unary(exponentials.inverse_hyperbolic_tangent),
    "cbrt": rules.unary(exponentials.cube_root),
    "ceil": rules.unary(lambda _, x: rules.without_negative_zero(lax.ceil(x))),
    "clamp": rules.clamp,
    "conv_general_dilated": rules.with_params(convolutions.convolution),
    "cos": rules.unary(trigonometry.cosine),
    "cosh": rules.unary(exponentials.hyperbolic_cosine),
    "cumlogsumexp": rules.accumulated(rules.log_add_exp, -np.inf),
    "cumprod": rules.accumulated(Guard.mul, 1.0),
    "cumsum": rules.accumulated(Guard.add, 0.0),
    "div": rules.divided,
    "dot_general": rules.dot,
    "erf": rules.unary(error_functions.error_function),
    "erf_inv": rules.unary(error_functions.inverse_error_function),
    "erfc": rules.unary(error_functions.complementary_error_function),
    "exp": rules.unary(exponentials.exponential),
    "exp2": rules.unary(exponentials.base_two_exponential),
    "expm1": rules.unary(exponentials.exponential_minus_one),
    "floor": rules.unary(lambda _, x: rules.without_negative_zero(lax.floor(x))),
    "integer_pow": rules.power_by_integer,
    "log": rules.unary(exponentials.logarithm),
    "log1p": rules.unary(exponentials.logarithm_plus_one),
    "log2": rules.unary(powers.base_two_logarithm),
    "logistic": rules.unary(exponentials.logistic),
    "mul": rules.binary(Guard.mul),
    "neg": rules.unary(lambda _, x: negative(x)),
    "one_minus_square": rules.unary(lambda g, x: g.mul(g.add(1, x), g.sub(1, x))),
    "nextafter": rules.binary(lambda _, x, y: rules.without_negative_zero(lax.nextafter(x, y))),
    "polynomial": rules.polynomial,
    "pow": rules.binary(powers.power),
    "reduce_max": rules.reduced_by(extrema.maximum_of, lax.reduce_max_p),
    "reduce_min": rules.reduced_by(extrema.minimum_of, lax.reduce_max_p),
    "reduce_precision": rules.precision_reduced,
    "reduce_prod": rules.reduce_prod,
    "reduce_sum": rules.reduce_sum,
    "reduce_window_max": rules.reduced_by(extrema.maximum_of, lax.reduce_window_max_p),
    "reduce_window_min": rules.reduced_by(extrema.minimum_of, lax.reduce_window_max_p),
    "reduce_window_sum": rules.with_params(windows.window_sum),
    "rem": rules.binary(remainders.remainder),
    "round": rules.rounded_to_integers,
    "rsqrt": rules.unary(quotients.reciprocal_root),
    "scatter-add": rules.with_params(scatters.scatter_add),
    "scatter-sub": rules.with_params(scatters.scatter_sub),
    "select_and_gather_add": rules.gathered_from_best,
    "select_and_scatter_add": rules.with_params(windows.scatter_to_best),
    "sign": rules.unary(lambda _, x: rules.sign_of(x)),
    "sin": rules.unary(trigonometry.sine),
    "sinh": rules.unary(exponentials.hyperbolic_sine),
    "sqrt": rules.unary(quotients.square_root),
    "square": rules.unary(lambda g, x: g.mul(x, x)),
    "sub": rules.binary(Guard.sub),
    "tan": rules.unary(trigonometry.tangent),
    "tanh": rules.unary(exponentials.hyperbolic_tangent),
}
"""Rules of operations on float32 arrays. Arrays of half-precision floats are widened before and rounded after."""

EXPENSIVE: Final = _names(
    """
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh cumlogsumexp erf erf_inv erfc exp exp2 expm1 log log1p log2
    logistic pow rem sin sinh tan tanh
    """
)
"""Operations that take a long sequence of others."""

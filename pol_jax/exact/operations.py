"""Vectors exist for these operations: small programs that a backend must run with the bits that the vectors give.

Those called baits are programs that compilers like to change: by contraction, reassociation, or algebra.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pol_jax.exact.values import Array

Operation = Callable[..., Any]

_IMAGES = ("NHWC", "HWIO", "NHWC")

ONE_ARGUMENT: Final[dict[str, Operation]] = {
    "abs": lax.abs,
    "acos": lax.acos,
    "acosh": lax.acosh,
    "asin": lax.asin,
    "asinh": lax.asinh,
    "atan": lax.atan,
    "atanh": lax.atanh,
    "cbrt": lax.cbrt,
    "ceil": lax.ceil,
    "cos": lax.cos,
    "cosh": lax.cosh,
    "cube": lambda x: lax.integer_pow(x, 3),
    "erf": lax.erf,
    "erf_inv": lax.erf_inv,
    "erfc": lax.erfc,
    "exp": lax.exp,
    "exp2": lax.exp2,
    "expm1": lax.expm1,
    "floor": lax.floor,
    "log": lax.log,
    "log1p": lax.log1p,
    "logistic": lax.logistic,
    "neg": lax.neg,
    "round": lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN),
    "rsqrt": lax.rsqrt,
    "sign": lax.sign,
    "sin": lax.sin,
    "sinh": lax.sinh,
    "sqrt": lax.sqrt,
    "tan": lax.tan,
    "tanh": lax.tanh,
    "to bfloat16": lambda x: lax.convert_element_type(x, jnp.bfloat16),
    "to float16": lambda x: lax.convert_element_type(x, np.float16),
    "to int32": lambda x: lax.convert_element_type(x, np.int32),
    "to uint8": lambda x: lax.convert_element_type(x, np.uint8),
    "bait: algebra": lambda x: ((x * 0.1) * 10.0, (x + 1.0) - 1.0, x / 3.0 * 3.0, x - x * 1.0),
    "bait: halves": lambda x: (x.astype(jnp.bfloat16).astype(np.float32), x.astype(np.float16).astype(np.float32)),
}
"""Operations of one float32 array, element by element."""

TWO_ARGUMENTS: Final[dict[str, Operation]] = {
    "add": lax.add,
    "atan2": lax.atan2,
    "div": lax.div,
    "max": lax.max,
    "min": lax.min,
    "mul": lax.mul,
    "nextafter": lax.nextafter,
    "pow": lax.pow,
    "rem": lax.rem,
    "sub": lax.sub,
    "compare": lambda x, y: (x < y, x <= y, x == y, x != y),
    "bfloat16": lambda x, y: x.astype(jnp.bfloat16) * y.astype(jnp.bfloat16) + x.astype(jnp.bfloat16),
    "float16": lambda x, y: x.astype(np.float16) * y.astype(np.float16) + x.astype(np.float16),
    "bait: contraction": lambda x, y: (x * y + x, x * y - y * x, x * x - y * y, x + x * y * y),
    "bait: reassociation": lambda x, y: ((x + y) + 1.0, (x + y) - y, (x * y) * x, (x + 3.0) + 5.0, (x - y) + (y - x)),
    "bait: scan": lambda x, y: lax.scan(lambda c, _: (c * y + x, c), x, None, length=3),
}
"""Operations of two float32 arrays, element by element."""


def _gradients(image: Array, kernel: Array, **options: Any) -> tuple[Array, ...]:
    """Return a convolution, and its two gradients for a gradient of ones times its result."""

    def convolved(image: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(image, kernel, dimension_numbers=_IMAGES, **options)

    result, backward = jax.vjp(convolved, image, kernel)
    return (result, *backward(result))


def _maxima(x: Array) -> tuple[Array, Array]:
    def pooled(x: Array) -> Any:
        return lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 2), "SAME")

    result, backward = jax.vjp(pooled, x)
    return result, backward(result)[0]


def _indexed(x: Array, y: Array) -> tuple[Array, ...]:
    at = jnp.array([0, 3, 3, 1, 0, 3, 5])
    return x.at[at].add(y[: len(at)]), x.at[at].set(y[: len(at)]), x[at], x.at[at].max(y[: len(at)])


def _drawn(key: Array) -> tuple[Array, ...]:
    """Return bits, and what becomes of them: numbers from [1, 2), and from a normal distribution."""
    drawn = jax.random.bits(jax.random.wrap_key_data(key, impl="threefry2x32"), (16,))
    uniform = lax.bitcast_convert_type(lax.bitwise_or(drawn >> 9, np.uint32(0x3F800000)), np.float32)
    return drawn, uniform, lax.erf_inv(lax.max(uniform * 2.0 - 3.0, np.float32(-0.99999994))) * 1.4142135


def _softmax(x: Array) -> Array:
    powers = lax.exp(lax.sub(x, lax.broadcast_in_dim(lax.reduce_max(x, (1,)), x.shape, (0,))))
    return lax.div(powers, lax.broadcast_in_dim(lax.reduce_sum(powers, (1,)), x.shape, (0,)))


OF_MATRICES: Final[dict[str, Operation]] = {
    "argmax": lambda x, y: (
        lax.argmax(x, 0, np.int32),
        lax.argmin(y, 1, np.int32),
        lax.top_k(x, 3),
        lax.sort(y, dimension=0),
    ),
    "convolution": lambda x, y: _gradients(
        x.reshape(2, 4, 4, 2), y.reshape(4, 2, 2, 4), window_strides=(1, 1), padding=[(1, 2), (0, 1)]
    ),
    "convolution, strided": lambda x, y: _gradients(
        x.reshape(2, 4, 4, 2), y.reshape(2, 4, 2, 4), window_strides=(2, 1), padding=[(1, 0), (2, 1)]
    ),
    "convolution, dilated": lambda x, y: _gradients(
        x.reshape(2, 4, 4, 2),
        y.reshape(2, 4, 2, 4),
        window_strides=(1, 1),
        padding=[(0, 1), (-1, 2)],
        lhs_dilation=(2, 3),
        rhs_dilation=(1, 2),
    ),
    "convolution, grouped": lambda x, y: _gradients(
        x.reshape(2, 2, 4, 4), y.reshape(2, 2, 2, 8), window_strides=(1, 1), padding="SAME", feature_group_count=2
    ),
    "cumulative": lambda x, y: (
        lax.cumsum(x, 0),
        lax.cumsum(x, 1, reverse=True),
        lax.cumprod(y, 1),
        lax.cumlogsumexp(y, 0),
        lax.cummax(x, 1),
    ),
    "dot": lambda x, y: (x @ y, x.T @ y, jnp.einsum("abc,bcd->ad", x.reshape(2, 4, 8), y.reshape(4, 8, 2))),
    "dot, bfloat16": lambda x, y: x.astype(jnp.bfloat16) @ y.astype(jnp.bfloat16),
    # 8,800 products are more than one block of float64 takes (`pol_jax.exact.grid.block_of`): blocks add up in int64.
    "dot, long": lambda x, y: jnp.tile(x, (1, 1100)) @ jnp.tile(y, (1100, 1)),
    "indexed": lambda x, y: _indexed(x, y),
    "sums": lambda x, y: (
        lax.reduce_sum(x, (0, 1)),
        lax.reduce_sum(x, (0,)),
        lax.reduce_sum(y, (1,)),
        lax.reduce_sum(x[:7], (0,)),
        lax.reduce_prod(y, (0,)),
        lax.reduce_max(x, (1,)),
    ),
    "softmax": lambda x, y: (_softmax(x), jax.grad(lambda y: lax.reduce_sum(_softmax(y) * x, (0, 1)))(y)),
    "windows": lambda x, y: (
        lax.reduce_window(x, 0.0, lax.add, (3, 2), (2, 1), "SAME"),
        *_maxima(y),
    ),
}
"""Operations of two float32 arrays of shape [8, 8]."""

OF_KEYS: Final[dict[str, Operation]] = {"random": _drawn}
"""Operations of the data of a threefry key, uint32 of shape [2]."""

OPERATIONS: Final[dict[str, Operation]] = ONE_ARGUMENT | TWO_ARGUMENTS | OF_MATRICES | OF_KEYS
"""All operations, by name."""

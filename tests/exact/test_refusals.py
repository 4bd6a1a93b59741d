"""What exact arithmetic doesn't cover is refused by name, with its place and a way out; nothing is computed wrongly."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pol_jax.errors import TaskError, UsageError
from pol_jax.exact import exact

X = np.ones((4, 4), np.float32)


def trace(function: Any, *arguments: Any) -> Any:
    return jax.make_jaxpr(exact(function))(*arguments)


@pytest.mark.parametrize(
    ("name", "function", "instead"),
    [
        ("cholesky", jnp.linalg.cholesky, "jax.numpy"),
        ("lgamma", lax.lgamma, "table"),
        ("ragged", lambda x: lax.ragged_dot(x, x[None], jnp.array([4])), "dense"),
        ("reduce", lambda x: lax.reduce(x, np.float32(0), lambda a, b: a + 2 * b, (0,)), "associative_scan"),
        ("scatter-mul", lambda x: x.at[jnp.array([0, 0])].multiply(2.0), "segment sum"),
        ("pure_callback", lambda x: jax.pure_callback(lambda y: y, jax.typeof(x), x), "records"),
    ],
)
def test_an_operation_is_refused_by_name(name: str, function: Any, instead: str) -> None:
    with pytest.raises(TaskError) as caught:
        trace(function, X)
    assert name in str(caught.value)
    assert instead in str(caught.value)


def test_the_place_in_the_users_code_is_named() -> None:
    def step(x: Any) -> Any:
        return lax.lgamma(x)

    with pytest.raises(TaskError, match=r"test_refusals\.py:\d+"):
        trace(step, X)


def test_an_operation_in_a_loop_is_refused() -> None:
    with pytest.raises(TaskError, match="lgamma"):
        trace(lambda x: lax.scan(lambda c, _: (lax.lgamma(c), None), x, None, length=2), X)


@pytest.mark.parametrize("dtype", ["float64", "complex64", "float8_e4m3fn"])
def test_other_types_are_refused(dtype: str) -> None:
    with jax.enable_x64(True), pytest.raises(TaskError, match=dtype):
        trace(lambda x: x + x, jnp.ones(3, dtype))
    with jax.enable_x64(True), pytest.raises(TaskError, match=dtype):
        trace(lambda x: lax.abs(x.astype(dtype)), X)


def test_generators_that_depend_on_the_machine_are_refused() -> None:
    with pytest.raises(TaskError, match="rbg"):
        trace(lambda data: jax.random.normal(jax.random.wrap_key_data(data, impl="rbg"), (3,)), np.zeros(4, np.uint32))


def test_no_derivative_of_an_exact_function() -> None:
    """The derivative of arithmetic on bits is zero: nobody must get that."""
    with pytest.raises(UsageError, match=r"exact\(jax\.grad\(loss\)\)"):
        jax.grad(lambda x: exact(jnp.sum)(x))(X)


def test_a_function_without_inputs_is_refused() -> None:
    with pytest.raises(UsageError, match="argument"):
        trace(lambda: jnp.ones(3) * 2)
    with pytest.raises(UsageError, match="argument"):
        trace(lambda x: x, np.zeros((0, 3), np.float32))

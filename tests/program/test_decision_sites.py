"""Sites: which operations decide, which of their operands are sites, and in which order they are numbered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import pytest
from exported_functions import exported
from jax import lax

from pol_jax.program.decision_sites import DecisionMap, find_decisions
from pol_jax.program.stablehlo import parsed
from pol_jax.protocol.ties import ExtremumTie, OrderTie, PairTie, RoundingTie, WindowTie

MATRIX = jax.ShapeDtypeStruct((4, 8), jnp.float32)


def found_in(function: Callable[..., Any], *args: Any) -> DecisionMap:
    with parsed(exported(function, *args).mlir_module()) as module:
        return find_decisions(module)


def operations(found: DecisionMap) -> list[str]:
    return [each.operation.removeprefix("stablehlo.") for each in found.deciders]


@pytest.mark.parametrize(
    ("function", "operation", "kind"),
    [
        (lambda x: x > 0.5, "compare", PairTie),
        (lambda x: jnp.maximum(x, 0.5), "maximum", PairTie),
        (lambda x: jnp.minimum(x, x[::-1]), "minimum", PairTie),
        (lambda x: lax.clamp(-0.5, x, 0.5), "clamp", PairTie),
        (jnp.sign, "sign", RoundingTie),
        (jnp.floor, "floor", RoundingTie),
        (jnp.ceil, "ceil", RoundingTie),
        (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), "round_nearest_even", RoundingTie),
        (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), "round_nearest_afz", RoundingTie),
        (lambda x: x.astype(jnp.int32), "convert", RoundingTie),
        (lambda x: jnp.max(x, -1), "reduce", ExtremumTie),
        (lambda x: jnp.argmin(x, -1), "reduce", ExtremumTie),
        (lambda x: jnp.sort(x, -1), "sort", OrderTie),
        (lambda x: lax.top_k(x, 3), "sort", OrderTie),
        (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2), (1, 2), "VALID"), "reduce_window", WindowTie),
    ],
)
def test_each_kind_of_decision_is_found(function: Callable[..., Any], operation: str, kind: type) -> None:
    found = found_in(lambda x: function(jnp.tanh(x)), MATRIX)
    assert operation in operations(found)
    assert isinstance(found.deciders[0].tie, kind)
    assert found.sites[0].shape == (4, 8)


def test_the_gradient_of_a_maximum_over_windows_is_a_decision_for_every_platform() -> None:
    def loss(x: jax.Array) -> jax.Array:
        return jnp.sum(lax.reduce_window(jnp.tanh(x), -jnp.inf, lax.max, (1, 2), (1, 2), "VALID") ** 2)

    found = found_in(jax.grad(loss), MATRIX)
    assert operations(found).count("select_and_scatter") == 3
    assert sum(each.nested for each in found.sites) >= 3


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1,
        lambda x: x > 0,  # an argument is not computed
        lambda x: jnp.isnan(jnp.tanh(x)),  # compared with itself
        lambda x: jnp.sum(jnp.tanh(x)),
        lambda x: x.astype(jnp.int32) > 3,
        lambda x: jnp.tanh(x).astype(jnp.bfloat16),
        lambda x: jnp.where(jnp.arange(8.0) > 3, x, 0),  # constant
    ],
)
def test_what_rounding_can_not_decide_has_no_site(function: Callable[..., Any]) -> None:
    assert found_in(function, MATRIX).sites == []


def test_a_value_has_one_number_however_often_it_is_compared() -> None:
    def function(x: jax.Array) -> tuple[jax.Array, ...]:
        y = jnp.tanh(x)
        return y > 0, y < 0.5, jnp.sin(x) > y

    found = found_in(function, MATRIX)
    assert [each.site for each in found.sites] == [0, 1]
    assert [(each.tie.first.place, each.tie.second) for each in found.deciders[:2]] == [(0, 0.0), (0, 0.5)]  # type: ignore[union-attr]


def test_sites_are_numbered_as_if_functions_stood_where_they_are_called() -> None:
    inner = jax.jit(lambda x: jnp.maximum(jnp.sin(x), 0))
    found = found_in(lambda x: (jnp.sign(jnp.cos(x)), inner(x), inner(x + 1), jnp.floor(jnp.tan(x))), MATRIX)
    assert [each.operation for each in found.sites] == [
        f"stablehlo.{name}" for name in ("sign", "maximum", "maximum", "floor")
    ]


def test_the_condition_of_a_loop_has_a_site_before_and_one_in_the_body() -> None:
    def function(x: jax.Array) -> jax.Array:
        return lax.while_loop(lambda y: jnp.sum(y) > 1, lambda y: jnp.maximum(y, 0.1) * 0.5, x)

    found = found_in(function, MATRIX)
    assert [(each.operation, each.nested, each.shape) for each in found.sites] == [
        ("stablehlo.compare", False, ()),
        ("stablehlo.maximum", True, (4, 8)),
        ("stablehlo.compare", True, ()),
    ]


def test_a_program_that_would_grow_without_end_is_not_followed() -> None:
    functions = "\n".join(
        f"func.func private @f{at}(%0: tensor<f32>) -> tensor<f32> {{\n"
        f"%1 = call @f{at + 1}(%0) : (tensor<f32>) -> tensor<f32>\n"
        f"%2 = call @f{at + 1}(%1) : (tensor<f32>) -> tensor<f32>\n"
        "return %2 : tensor<f32> }"
        for at in range(40)
    )
    last = "func.func private @f40(%0: tensor<f32>) -> tensor<f32> { return %0 : tensor<f32> }"
    main = (
        "func.func @main(%0: tensor<f32>) -> tensor<f32> {\n"
        "%1 = call @f0(%0) : (tensor<f32>) -> tensor<f32>\nreturn %1 : tensor<f32> }"
    )
    with parsed(f"module {{\n{main}\n{functions}\n{last}\n}}") as module, pytest.raises(ValueError, match="more than"):
        find_decisions(module)


def test_a_function_that_calls_itself_is_not_followed() -> None:
    text = (
        "module { func.func @main(%0: tensor<f32>) -> tensor<f32> {\n"
        "%1 = call @main(%0) : (tensor<f32>) -> tensor<f32>\nreturn %1 : tensor<f32> } }"
    )
    with parsed(text) as module, pytest.raises(ValueError, match="calls itself"):
        find_decisions(module)

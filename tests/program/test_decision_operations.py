"""Which operations decide, and which of their operands tie with what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from exported_functions import deciding_operations, decisions_of
from jax import lax

from pol_jax.program.decision_operations import candidates, float_type
from pol_jax.program.stablehlo import functions, operations, parsed
from pol_jax.protocol.ties import ExtremumTie, Observed, OrderTie, PairTie, Rounding, RoundingTie, Tie, WindowTie

MATRIX = jax.ShapeDtypeStruct((4, 8), jnp.float32)
FIRST = Observed(0)


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
    found = decisions_of(lambda x: function(jnp.tanh(x)), MATRIX)
    assert operation in deciding_operations(found)
    assert isinstance(found.deciders[0].tie, kind)
    assert found.sites[0].shape == (4, 8)


@pytest.mark.parametrize(
    ("function", "ties"),
    [
        (lambda x: x > 0.5, [PairTie(FIRST, 0.5)]),
        (lambda x: lax.clamp(-0.5, x, 0.25), [PairTie(-0.5, FIRST), PairTie(FIRST, 0.25)]),
        (jnp.sign, [RoundingTie(FIRST, Rounding.SIGN)]),
        (jnp.floor, [RoundingTie(FIRST, Rounding.WHOLE)]),
        (jnp.ceil, [RoundingTie(FIRST, Rounding.WHOLE)]),
        (lambda x: x.astype(jnp.int32), [RoundingTie(FIRST, Rounding.WHOLE)]),
        (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), [RoundingTie(FIRST, Rounding.HALF)]),
        (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), [RoundingTie(FIRST, Rounding.HALF)]),
        (lambda x: jnp.max(x, 0), [ExtremumTie(FIRST, (0,), (1,))]),
        (lambda x: jnp.argmin(x, 1), [ExtremumTie(FIRST, (1,), (-1,))]),
        (lambda x: jnp.sort(x, 0), [OrderTie(FIRST, 0)]),
        (
            lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 3), (1, 2), ((0, 0), (1, 1))),
            [WindowTie(FIRST, (1, 3), (1, 2), ((0, 0), (1, 1)), (-1,))],
        ),
    ],
)
def test_what_ties_is_what_the_operation_says(function: Callable[..., Any], ties: list[Tie]) -> None:
    assert [each.tie for each in decisions_of(lambda x: function(jnp.tanh(x)), MATRIX).deciders] == ties


def test_what_is_no_number_of_known_shape_can_not_be_replaced() -> None:
    types = {
        "tensor<4x8xf32>": "float32",
        "tensor<bf16>": "bfloat16",
        "tensor<2xf16>": "float16",
        "tensor<f64>": "float64",
        "tensor<?xf32>": None,
        "tensor<4xi32>": None,
        "tensor<4xcomplex<f32>>": None,
    }
    takes = ", ".join(f"%{at}: {each}" for at, each in enumerate(types))
    with parsed(f"module {{ func.func @main({takes}) {{ return }} }}") as module:
        arguments = functions(module)["main"].regions[0].blocks[0].arguments
        assert [float_type(each) for each in arguments] == list(types.values())


def test_an_operation_that_decides_nothing_has_no_candidates() -> None:
    text = (
        "module { func.func @main(%0: tensor<f32>, %1: tensor<i32>) -> (tensor<f32>, tensor<i1>, tensor<i1>) {\n"
        "%2 = stablehlo.sine %0 : tensor<f32>\n"
        "%3 = stablehlo.compare EQ, %1, %1 : (tensor<i32>, tensor<i32>) -> tensor<i1>\n"
        "%4 = stablehlo.compare NE, %0, %0 : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
        "return %2, %3, %4 : tensor<f32>, tensor<i1>, tensor<i1> } }"
    )
    with parsed(text) as module:
        assert not any(list(candidates(each)) for each in operations(functions(module)["main"]))

"""Sites: which operands of decisions are sites, and in which order they are numbered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from exported_functions import deciding_operations, decisions_of, exported
from jax import lax

from pol_jax.program import decision_sites
from pol_jax.program.decision_sites import find_decisions
from pol_jax.program.stablehlo import parsed

MATRIX = jax.ShapeDtypeStruct((4, 8), jnp.float32)


def test_the_gradient_of_a_maximum_over_windows_is_a_decision_for_every_platform() -> None:
    def loss(x: jax.Array) -> jax.Array:
        return jnp.sum(lax.reduce_window(jnp.tanh(x), -jnp.inf, lax.max, (1, 2), (1, 2), "VALID") ** 2)

    found = decisions_of(jax.grad(loss), MATRIX)
    assert deciding_operations(found).count("select_and_scatter") == 3
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
    assert decisions_of(function, MATRIX).sites == []


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.where(lax.fori_loop(0, 3, lambda _, y: jnp.sin(y), jnp.float32(1)) > 0.5, x, 0),
        lambda x: lax.rng_bit_generator(jnp.zeros(4, jnp.uint32), (8,))[1].astype(jnp.float32) > 3,
    ],
    ids=["loop", "draw"],
)
def test_what_a_loop_or_a_draw_makes_of_constants_is_computed(function: Callable[..., Any]) -> None:
    assert [each.operation for each in decisions_of(function, MATRIX).sites] == ["stablehlo.compare"]


def test_a_value_has_one_number_however_often_it_is_compared() -> None:
    def function(x: jax.Array) -> tuple[jax.Array, ...]:
        y = jnp.tanh(x)
        return y > 0, y < 0.5, jnp.sin(x) > y

    found = decisions_of(function, MATRIX)
    assert [each.site for each in found.sites] == [0, 1]
    assert [(each.tie.first.place, each.tie.second) for each in found.deciders[:2]] == [(0, 0.0), (0, 0.5)]  # type: ignore[union-attr]


def test_sites_are_numbered_as_if_functions_stood_where_they_are_called() -> None:
    inner = jax.jit(lambda x: jnp.maximum(jnp.sin(x), 0))
    found = decisions_of(lambda x: (jnp.sign(jnp.cos(x)), inner(x), inner(x + 1), jnp.floor(jnp.tan(x))), MATRIX)
    assert [each.operation for each in found.sites] == [
        f"stablehlo.{name}" for name in ("sign", "maximum", "maximum", "floor")
    ]


def test_the_condition_of_a_loop_has_a_site_before_and_one_in_the_body() -> None:
    def function(x: jax.Array) -> jax.Array:
        return lax.while_loop(lambda y: jnp.sum(y) > 1, lambda y: jnp.maximum(y, 0.1) * 0.5, x)

    found = decisions_of(function, MATRIX)
    assert [(each.operation, each.nested, each.shape) for each in found.sites] == [
        ("stablehlo.compare", False, ()),
        ("stablehlo.maximum", True, (4, 8)),
        ("stablehlo.compare", True, ()),
    ]


def loops_in_conditions(depth: int) -> Callable[[jax.Array], jax.Array]:
    """Return a function with a loop, in whose condition is a loop, in whose condition is a loop, and so on."""
    inside = loops_in_conditions(depth - 1) if depth else lambda x: x
    return lambda x: lax.while_loop(lambda y: inside(y) < 4.0, lambda y: y + 0.7, jnp.float32(1.3) * x)


def test_no_decision_is_lost_in_a_loop_of_a_condition() -> None:
    """Nothing can be shown or given within a condition, since it returns its answer and nothing else."""
    with parsed(exported(loops_in_conditions(2), jax.ShapeDtypeStruct((), jnp.float32)).mlir_module()) as module:
        found = find_decisions(module)
        owners = [each.block.owner.operation for each in found.located]
        loops = [(each, owner) for each, owner in zip(found.located, owners, strict=True) if len(owner.regions) == 2]
        assert len(found.sites) == 2 * (1 + 2 + 4)
        assert len(loops) == len(found.located) - 3, "three are decided in main, before any turn"
        assert all(each.block == owner.regions[1].blocks[0] for each, owner in loops)


def test_loops_in_conditions_that_would_grow_without_end_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_sites, "MOST_OPERATIONS", 100)
    with pytest.raises(ValueError, match="when its conditions are written out"):
        decisions_of(loops_in_conditions(6), jax.ShapeDtypeStruct((), jnp.float32))

"""Which operations a program may have: what is no function of its operands is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from jax import lax
from places import ROOT

from pol_jax.errors import TaskError
from pol_jax.program.artifact import PLATFORMS, load_program
from pol_jax.program.audit import audit
from pol_jax.program.operations import ALLOWED_OPERATIONS, refused_operations
from pol_jax.program.stablehlo import parsed
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.task import Task

VECTOR = jax.ShapeDtypeStruct((4,), np.float32)


def refused(body: str, *, device_generator: bool = False) -> set[str]:
    """What is refused of a module whose ``main`` has this body."""
    text = f"module {{ func.func public @main(%arg0: tensor<4xf32>) -> tensor<4xf32> {{ {body} }} }}"
    with parsed(text) as module:
        return refused_operations(module, device_generator=device_generator)


OTHERS = {
    "stablehlo.rng": """
        %a = stablehlo.constant dense<0.0> : tensor<f32>
        %b = stablehlo.constant dense<1.0> : tensor<f32>
        %s = stablehlo.constant dense<4> : tensor<1xi64>
        %r = stablehlo.rng %a, %b, %s, distribution = UNIFORM
            : (tensor<f32>, tensor<f32>, tensor<1xi64>) -> tensor<4xf32>
        return %r : tensor<4xf32>""",
    "stablehlo.partition_id": """
        %p = stablehlo.partition_id : tensor<ui32>
        return %arg0 : tensor<4xf32>""",
    "stablehlo.replica_id": """
        %p = stablehlo.replica_id : tensor<ui32>
        return %arg0 : tensor<4xf32>""",
    "stablehlo.create_token": """
        %t = stablehlo.create_token : !stablehlo.token
        return %arg0 : tensor<4xf32>""",
    "stablehlo.infeed": """
        %t = stablehlo.after_all : !stablehlo.token
        %r:2 = "stablehlo.infeed"(%t) {infeed_config = ""} : (!stablehlo.token) -> (tensor<4xf32>, !stablehlo.token)
        return %r#0 : tensor<4xf32>""",
    "stablehlo.outfeed": """
        %t = stablehlo.after_all : !stablehlo.token
        %r = "stablehlo.outfeed"(%arg0, %t) {outfeed_config = ""}
            : (tensor<4xf32>, !stablehlo.token) -> !stablehlo.token
        return %arg0 : tensor<4xf32>""",
    "stablehlo.all_gather": """
        %r = "stablehlo.all_gather"(%arg0) {all_gather_dim = 0 : i64, replica_groups = dense<0> : tensor<1x1xi64>}
            : (tensor<4xf32>) -> tensor<4xf32>
        return %r : tensor<4xf32>""",
    "jump_anywhere": """
        %r = stablehlo.custom_call @jump_anywhere(%arg0) : (tensor<4xf32>) -> tensor<4xf32>
        return %r : tensor<4xf32>""",
    # GSPMD divides what is between such calls: what is one program on one device would be another one on several
    "Sharding": """
        %r = stablehlo.custom_call @Sharding(%arg0) {mhlo.sharding = "{devices=[4]3,1,0,2}"}
            : (tensor<4xf32>) -> tensor<4xf32>
        return %r : tensor<4xf32>""",
    "SPMDFullToShardShape": """
        %p = stablehlo.custom_call @SPMDFullToShardShape(%arg0) : (tensor<4xf32>) -> tensor<1xf32>
        %r = stablehlo.custom_call @SPMDShardToFullShape(%p) : (tensor<1xf32>) -> tensor<4xf32>
        return %r : tensor<4xf32>""",
    "TopK ": """
        %r = stablehlo.custom_call @"TopK "(%arg0) : (tensor<4xf32>) -> tensor<4xf32>
        return %r : tensor<4xf32>""",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_function_of_its_operands_is_refused_by_name(name: str) -> None:
    assert name in refused(OTHERS[name])


def test_a_call_is_found_in_a_region() -> None:
    body = """
        %zero = stablehlo.constant dense<0.0> : tensor<f32>
        %r = "stablehlo.reduce_window"(%arg0, %zero) <{window_dimensions = array<i64: 1>}> ({
          ^bb0(%a: tensor<f32>, %b: tensor<f32>):
            %c = stablehlo.custom_call @jump_anywhere(%a) : (tensor<f32>) -> tensor<f32>
            stablehlo.return %c : tensor<f32>
        }) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
        return %r : tensor<4xf32>"""
    assert refused(body) == {"jump_anywhere"}


def test_a_module_inside_the_module_is_refused() -> None:
    text = """module {
        module @inner { func.func @f(%a: tensor<f32>) -> tensor<f32> { return %a : tensor<f32> } }
        func.func public @main(%arg0: tensor<4xf32>) -> tensor<4xf32> { return %arg0 : tensor<4xf32> }
    }"""
    with parsed(text) as module:
        assert refused_operations(module, device_generator=False) == {"builtin.module"}


@pytest.mark.parametrize(
    ("algorithm", "device_generator", "passes"),
    [("THREE_FRY", False, True), ("PHILOX", False, True), ("DEFAULT", False, False), ("DEFAULT", True, True)],
)
def test_random_bits_have_a_named_algorithm(algorithm: str, device_generator: bool, passes: bool) -> None:
    body = f"""
        %k = stablehlo.constant dense<1> : tensor<2xui64>
        %s, %r = stablehlo.rng_bit_generator %k, algorithm = {algorithm}
            : (tensor<2xui64>) -> (tensor<2xui64>, tensor<4xui32>)
        return %arg0 : tensor<4xf32>"""
    assert bool(refused(body, device_generator=device_generator)) is not passes


def with_step(change: Callable[..., Any]) -> Task:
    task = tiny.plain()

    def step(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        return new, {**metrics, "extra": change(batch["x"], key)}

    return Task("changed", task.init, step, task.source, task.batch_size, 1)


def test_names_of_parts_may_have_any_word() -> None:
    """A verifier that searches the module's text would refuse this honest program."""

    def change(x: jax.Array, _: Any) -> jax.Array:
        with jax.named_scope("custom_call oops stablehlo.infeed"):
            return x.sum()

    task = with_step(change)
    signature = signature_of(task, "threefry2x32")
    assert load_program(export_task(task, signature), signature).constant_bytes >= 0


def test_random_bits_of_the_device_need_a_prng_that_says_so() -> None:
    def change(x: jax.Array, key: Any) -> jax.Array:
        return jax.random.bits(jax.random.key(0, impl="rbg"), (2,)).sum() * 0.0 + x.sum()

    task = with_step(change)
    with pytest.raises(TaskError, match=r"rng_bit_generator with .*DEFAULT.*; a verifier would refuse it"):
        export_task(task, signature_of(task, "threefry2x32"))
    for prng in ("rbg", "unsafe_rbg"):
        signature = signature_of(task, prng)
        load_program(export_task(task, signature), signature)


def test_the_oldest_random_operation_is_refused() -> None:
    task = with_step(lambda x, _: lax.rng_uniform(jnp.float32(0), jnp.float32(1), (2,)).sum() + x.sum())
    with pytest.raises(TaskError, match=r"calls stablehlo\.rng; expected only"):
        export_task(task, signature_of(task, "threefry2x32"))


def test_collectives_are_on_no_list() -> None:
    others = {"all_gather", "all_reduce", "all_to_all", "collective_permute", "reduce_scatter", "collective_broadcast"}
    assert not {f"stablehlo.{name}" for name in others} & ALLOWED_OPERATIONS


def test_an_ordinary_program_passes() -> None:
    program = jax.export.export(jax.jit(lambda x: jnp.sort(x) * jax.nn.gelu(x)), platforms=PLATFORMS)(VECTOR)
    assert audit(program).depends == (frozenset({0}),)


def test_the_document_lists_every_operation() -> None:
    document = (ROOT / "docs" / "protocol.md").read_text()
    for name in ALLOWED_OPERATIONS:
        assert f"`{name.removeprefix('stablehlo.')}`" in document, name

"""Functions are written out where they are called, and conditions of loops are moved into their bodies."""

from __future__ import annotations

import pytest
from jax.extend.mlir import ir

from pol_jax.program.decision_sites import find_decisions
from pol_jax.program.inlining import inline_calls, rotate_loop
from pol_jax.program.stablehlo import only_block, parsed

CALLS = """module {
func.func @main(%0: tensor<f32>) -> tensor<f32> {
  %1 = call @twice(%0) : (tensor<f32>) -> tensor<f32>
  %2 = call @once(%1) : (tensor<f32>) -> tensor<f32>
  return %2 : tensor<f32> }
func.func private @twice(%0: tensor<f32>) -> tensor<f32> {
  %1 = call @once(%0) : (tensor<f32>) -> tensor<f32>
  %2 = stablehlo.cosine %1 : tensor<f32>
  return %2 : tensor<f32> }
func.func private @once(%0: tensor<f32>) -> tensor<f32> {
  %1 = stablehlo.sine %0 : tensor<f32>
  return %1 : tensor<f32> }
}"""

LOOP = """module { func.func @main(%0: tensor<f32>) -> tensor<f32> {
  %1 = stablehlo.while(%carried = %0) : tensor<f32>
    cond {
      %limit = stablehlo.constant dense<1.0> : tensor<f32>
      %goes_on = stablehlo.compare GT, %carried, %limit : (tensor<f32>, tensor<f32>) -> tensor<i1>
      stablehlo.return %goes_on : tensor<i1>
    } do {
      %next = stablehlo.sine %carried : tensor<f32>
      stablehlo.return %next : tensor<f32>
    }
  return %1 : tensor<f32> } }"""


def names_in(block: ir.Block) -> list[str]:
    return [each.operation.name.partition(".")[2] for each in block]


def test_a_function_is_written_out_wherever_it_is_called() -> None:
    with parsed(CALLS) as module:
        block = inline_calls(module)
        assert names_in(block) == ["sine", "cosine", "sine", "return"]
        sine, cosine, again, end = (each.operation for each in block)
        assert (cosine.operands[0], again.operands[0], end.operands[0]) == (
            sine.results[0],
            cosine.results[0],
            again.results[0],
        )
        module.operation.verify()


def test_a_module_without_a_main_is_not_followed() -> None:
    with parsed("module { func.func @other() { return } }") as module, pytest.raises(ValueError, match="has no main"):
        inline_calls(module)


def test_the_condition_of_a_loop_is_evaluated_before_it_and_at_the_end_of_each_turn() -> None:
    with parsed(LOOP) as module:
        main = inline_calls(module)
        loop, before = rotate_loop(next(each.operation for each in main if each.operation.name == "stablehlo.while"))
        module.operation.verify()
        condition, body = (only_block(region) for region in loop.regions)
        assert names_in(main) == ["constant", "compare", "while", "return"]
        assert [each.name for each in before] == ["stablehlo.constant", "stablehlo.compare"]
        assert names_in(condition) == ["return"]
        assert names_in(body) == ["sine", "constant", "compare", "return"]
        assert (len(loop.operands), len(loop.results)) == (2, 2)
        # It looks at what the turn gives, and not at what the turn began with.
        sine, _, compare, _ = (each.operation for each in body)
        assert compare.operands[0] == sine.results[0]


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

"""StableHLO modules: their constants, their canonical text, and those that can't be followed."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from exported_functions import TARGET, VECTOR, exported
from jax import lax

from pol_jax.program.audit import audit
from pol_jax.program.dataflow import dependences
from pol_jax.program.stablehlo import canonical_text, constant_bytes, parsed


@pytest.mark.parametrize(
    ("constant", "size"),
    [
        ("dense<1.0> : tensor<1000xf32>", 4),
        ("dense<[1.0, 2.0, 3.0]> : tensor<3xf32>", 12),
        ("dense<[true, false, true]> : tensor<3xi1>", 1),
        ("dense<[1, 2, 3, 4]> : tensor<4xui4>", 2),
        ("dense<[1., 2.]> : tensor<2xf8E4M3FN>", 2),
        ("dense<(0.0, 1.0)> : tensor<1000xcomplex<f32>>", 8),
        ("dense<[(0.0, 1.0), (1.0, 0.0)]> : tensor<2xcomplex<f32>>", 16),
        ('dense<"0x0000803F00000040"> : tensor<2xf32>', 8),
        ("dense_resource<blob> : tensor<3xf32>", 12),
    ],
)
def test_constants_are_counted_however_they_are_spelled(constant: str, size: int) -> None:
    kind = constant.rpartition(" : ")[2]
    text = f"module {{ func.func @main() -> {kind} {{\n%0 = stablehlo.constant {constant}\nreturn %0 : {kind} }} }}\n"
    text += '{-# dialect_resources: { builtin: { blob: "0x040000000000803F0000004000004040" } } #-}'
    with parsed(text) as module:
        assert constant_bytes(module) == size


def test_places_of_slices_and_paddings_are_numbers_too() -> None:
    """One that starts at a number, of an array that counts up, is that number."""

    def size(function: Callable[[jax.Array], jax.Array]) -> int:
        return audit(exported(function, jax.ShapeDtypeStruct((2**16, 4), "float32"))).constant_bytes

    assert size(lambda x: x[:10]) == 1
    assert size(lambda x: x[40_000:40_001, 1:]) == 3  # 16 digits and 1, and none for the lengths
    assert size(lambda x: x[40_000:]) == 2
    assert size(lambda x: x[40_000:50_000]) == 4
    assert size(lambda x: jnp.concatenate([x[at : at + 1] for at in range(32768, 32868)])) == 200
    assert size(lambda x: jnp.pad(x, ((1000, 60), (0, 0)))) == 4 + 2  # the 0 that is filled in, and 10 and 6 digits


def test_a_model_in_the_order_of_a_few_constants_shows_in_the_size() -> None:
    """16 constants, which are joined in an order that says everything."""

    def packed(levels: np.ndarray) -> int:
        def function(x: jax.Array) -> jax.Array:
            known = [jnp.full(1, at / 16) for at in range(16)]
            return jnp.concatenate([known[at] for at in levels.tolist()]) * x

        found = audit(exported(function, jax.ShapeDtypeStruct((), "float32")))
        assert found.constant_bytes <= 16 * 4
        return found.packed_bytes

    secret = np.random.default_rng(0).integers(0, 16, 2000)
    assert packed(secret) - packed(np.zeros(2000, int)) > 500  # bytes that are needed to write it


def test_constants_of_regions_and_callees_count() -> None:
    def function(x: jax.Array) -> jax.Array:
        inner = jax.jit(lambda y: y + jnp.asarray(TARGET[0, :4]))
        turned: jax.Array = lax.fori_loop(0, 3, lambda _, y: inner(y) * jnp.asarray(TARGET[1, :4]), x)
        return turned

    assert 2 * 16 <= audit(exported(function, VECTOR)).constant_bytes < 100


def test_canonical_text_has_no_places() -> None:
    texts = []
    for function in (lambda x: jnp.sin(x) + 1, lambda y: 1 + jnp.sin(y)):
        with parsed(exported(function, VECTOR).mlir_module()) as module:
            texts.append(canonical_text(module))
    assert "loc(" not in texts[0]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("%1 = func.call @main(%0) : (tensor<f32>) -> tensor<f32>\nreturn %1 : tensor<f32>", "calls main"),
        ("%1 = func.call @f(%0) : (tensor<f32>) -> tensor<f32>\nreturn %1 : tensor<f32>", "no module"),
        ("cf.br ^next\n^next:\nreturn %0 : tensor<f32>", "2 blocks"),
    ],
)
def test_module_that_cannot_be_followed(body: str, problem: str) -> None:
    text = f"module {{ func.func @main(%0: tensor<f32>) -> tensor<f32> {{\n{body} }} }}"
    with pytest.raises(ValueError, match=problem), parsed(text) as module:
        dependences(module)


def test_module_that_is_nested_beyond_all_reason() -> None:
    """A chain of calls, each a function of its own."""
    kind, names = "tensor<f32>", ["main", *(f"f{at}" for at in range(3000))]
    calls = [f"%1 = func.call @{name}(%0) : ({kind}) -> {kind}\nreturn %1 : {kind}" for name in names[1:]]
    bodies = zip(names, [*calls, f"return %0 : {kind}"], strict=True)
    text = "\n".join(f"func.func @{name}(%0: {kind}) -> {kind} {{\n{body} }}" for name, body in bodies)
    with parsed(f"module {{ {text} }}") as module, pytest.raises(ValueError, match="nested too deeply"):
        dependences(module)

"""A StableHLO module is read as a tree of operations, with the parser of MLIR.

The text is not searched by patterns for constants, which can be written in many ways. It is for shardings: they may
stand in texts that MLIR does not parse, and MLIR itself prints the names that are looked for, in one form.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, Final

from jax._src.interpreters.mlir import make_ir_context
from jax.extend.mlir import ir

CALLS: Final = {"func.call": "callee", "stablehlo.composite": "decomposition"}
"""These operations call a function of the module, which the given attribute names."""

_PRODUCTS = frozenset(f"stablehlo.{name}" for name in ("dot", "dot_general", "convolution", "dynamic_conv"))

_ODD_SHARDING = re.compile(r"\b(device_ids|mhlo\.sharding|xla\.sdy\.\w+|unreduced|sdy\.sharding_rule) *=")
"""The order of a mesh's devices; the shardings of GSPMD and of Shardy's round trip, which are texts; axes over which an
array is still to be added up; and how an operation would be divided, whatever it is."""

_WIDEST = 128
"""An element of an unknown type counts as this many bits, the most that any known type has."""


@contextmanager
def parsed(text: str) -> Iterator[ir.Module]:
    """Parse the module in ``text``, which is valid inside the ``with`` block.

    Raises:
        ValueError: the text is no module, or has dialects that jax does not use.
    """
    with make_ir_context():
        try:
            module = ir.Module.parse(text)
        except ir.MLIRError as error:
            raise ValueError("is no module that MLIR can read") from error
        yield module


def operations(root: ir.Operation) -> Iterator[ir.Operation]:
    """Yield an operation and all operations in its regions; without recursion, since they may be nested deeply."""
    pending = [root]
    while pending:
        operation = pending.pop()
        yield operation
        pending += [inner.operation for region in operation.regions for block in region for inner in block]


def functions(module: ir.Module) -> dict[str, ir.Operation]:
    """Return the functions of a module, by name."""
    inside = [each.operation for each in module.body.operations]
    return {ir.StringAttr(each.attributes["sym_name"]).value: each for each in inside if each.name == "func.func"}


def only_block(region: Any) -> ir.Block:
    """Return the block of a region; a region of StableHLO has exactly one.

    Raises:
        ValueError: the region has none, or several.
    """
    blocks: list[ir.Block] = list(region)
    if len(blocks) != 1:
        raise ValueError(f"has a region of {len(blocks)} blocks")
    return blocks[0]


def constant_bytes(module: ir.Module) -> int:
    """Return how many bytes the constants of a module have. A splat, which repeats one value, counts as that one value.

    A tensor counts in whatever operation it is an attribute of. A splat can hide no more than one number, however large
    its tensor is; many splats together count as much as one large constant. The places at which slices are cut out of
    an array, such as one that counts up, are numbers too.
    """
    every = list(operations(module.operation))
    values = sum(_value_bytes(each, index, name) for each in every for index, name in enumerate(each.attributes))
    # Rounded up once for the whole module (section 9), and not for each slice.
    return values + -(-sum(map(_place_bits, every)) // 8)


def has_open_products(module: ir.Module) -> bool:
    """Return whether a product of float32 leaves its precision open: accelerators then cut its factors."""
    return any(_is_open_product(each) for each in operations(module.operation))


def has_odd_sharding(module: ir.Module) -> bool:
    """Return whether a module has shardings that do more than say where an array lies, or may do so in a text.

    An order of devices is as many numbers as there are devices, none of which is a constant. It may be written wherever
    a mesh or a sharding is, in any attribute or in its text, which nobody has parsed yet. And an array that is said to
    be unreduced is another one on a mesh than on one device. MLIR prints all of them in this form; no function has such
    a name.
    """
    return _ODD_SHARDING.search(canonical_text(module)) is not None


def canonical_text(module: ir.Module) -> str:
    """Return the module as MLIR prints it without locations; equal programs have equal texts, whoever exported them."""
    return str(module.operation.get_asm(enable_debug_info=False))


def packed_bytes(module: ir.Module) -> int:
    """Return how many bytes a module has without locations and compressed: no more than that can be hidden in it."""
    # Compressed, since the text of an honest program repeats itself much, and hidden numbers do not.
    return len(zlib.compress(canonical_text(module).encode()))


def _is_open_product(operation: ir.Operation) -> bool:
    # An algorithm fixes how factors are cut, on every device.
    if operation.name not in _PRODUCTS or "algorithm" in operation.attributes:
        return False
    if not any(isinstance(each.type.element_type, ir.F32Type) for each in operation.operands):
        return False
    return "precision_config" not in operation.attributes or "DEFAULT" in str(operation.attributes["precision_config"])


def _value_bytes(operation: ir.Operation, index: int, name: str) -> int:
    """Return how many bytes the value of an attribute has."""
    try:
        attribute: Any = operation.attributes[name]
    except TypeError:  # the bindings have no class for complex tensors; MLIR prints one
        splat = str(operation.attributes[index]).startswith(f"NamedAttribute({name}=dense<(")
        return sum(_tensor_bytes(result.type, splat) for result in operation.results)
    if isinstance(attribute, ir.DenseElementsAttr):
        return _tensor_bytes(attribute.type, attribute.is_splat)
    return _tensor_bytes(getattr(attribute, "type", None), splat=False)


def _place_bits(operation: ir.Operation) -> int:
    """Return how many binary digits there are in the numbers that say where a slice or a padding lies.

    A slice of one element, or up to the end of an axis, has no number for its length.
    """
    if operation.name == "stablehlo.pad":
        names = ("edge_padding_low", "edge_padding_high", "interior_padding")
        return sum(abs(number).bit_length() for name in names for number in _numbers(operation, name))
    if operation.name != "stablehlo.slice":
        return 0
    kind: Any = operation.operands[0].type
    axes = zip(_numbers(operation, "start_indices"), _numbers(operation, "limit_indices"), strict=True)
    return sum(
        start.bit_length() + (0 if limit in (start + 1, kind.get_dim_size(axis)) else (limit - start).bit_length())
        for axis, (start, limit) in enumerate(axes)
    )


def _numbers(operation: ir.Operation, name: str) -> list[int]:
    return list(ir.DenseI64ArrayAttr(operation.attributes[name]))


def _tensor_bytes(kind: Any, splat: bool) -> int:
    """Return how many bytes a tensor's elements have; 0 for a number, a name or a flag, which is no tensor."""
    if not isinstance(kind, ir.ShapedType):
        return 0
    elements = 1 if splat else prod(kind.get_dim_size(axis) for axis in range(kind.rank))
    return -(-elements * _bits(kind.element_type) // 8)


def _bits(kind: ir.Type) -> int:
    if isinstance(kind, ir.ComplexType):
        return 2 * _bits(kind.element_type)
    # An unknown type must not make a constant count as nothing.
    return int(kind.width) if isinstance(kind, ir.IntegerType | ir.FloatType) else _WIDEST

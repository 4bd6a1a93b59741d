"""A StableHLO module as a tree of operations, read by MLIR itself: its constants, and its text without names.

Not by patterns on its text: a constant has many spellings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

from jax._src.interpreters.mlir import make_ir_context
from jax.extend.mlir import ir

_WIDEST = 128
"""Bits of an element of a type that is not known here."""


@contextmanager
def parsed(text: str) -> Iterator[ir.Module]:
    """The module in ``text``; valid inside the ``with`` block.

    Raises:
        ValueError: no module, or one in other dialects than jax's.
    """
    with make_ir_context():
        try:
            module = ir.Module.parse(text)
        except ir.MLIRError as error:
            raise ValueError("is no module that MLIR can read") from error
        yield module


def operations(root: ir.Operation) -> Iterator[ir.Operation]:
    """An operation and all that lie in its regions; as deep as they are nested, without recursion."""
    pending = [root]
    while pending:
        operation = pending.pop()
        yield operation
        pending += [inner.operation for region in operation.regions for block in region for inner in block]


def functions(module: ir.Module) -> dict[str, ir.Operation]:
    """The functions of a module, by name."""
    inside = [each.operation for each in module.body.operations]
    return {ir.StringAttr(each.attributes["sym_name"]).value: each for each in inside if each.name == "func.func"}


def only_block(region: Any) -> ir.Block:
    """The block of a region; StableHLO has regions of one.

    Raises:
        ValueError: there are more, or none.
    """
    blocks: list[ir.Block] = list(region)
    if len(blocks) != 1:
        raise ValueError(f"has a region of {len(blocks)} blocks")
    return blocks[0]


def constant_bytes(module: ir.Module) -> int:
    """How many bytes of values are written down in a module: each element of its constants, a splat's once.

    A tensor counts in whatever operation it is an attribute. A splat is one number however large its tensor is; many
    of them, put together, are as much as one large constant.
    """
    return sum(
        _value_bytes(operation, at, name)
        for operation in operations(module.operation)
        for at, name in enumerate(operation.attributes)
    )


def canonical_text(module: ir.Module) -> str:
    """The module as MLIR prints it without locations: equal for equal programs, whoever wrote them down."""
    return str(module.operation.get_asm(enable_debug_info=False))


def _value_bytes(operation: ir.Operation, at: int, name: str) -> int:
    try:
        attribute: Any = operation.attributes[name]
    except TypeError:  # the bindings have no class for complex tensors; MLIR prints one
        splat = str(operation.attributes[at]).startswith(f"NamedAttribute({name}=dense<(")
        return sum(_tensor_bytes(result.type, splat) for result in operation.results)
    if isinstance(attribute, ir.DenseElementsAttr):
        return _tensor_bytes(attribute.type, attribute.is_splat)
    return _tensor_bytes(getattr(attribute, "type", None), splat=False)


def _tensor_bytes(kind: Any, splat: bool) -> int:
    """Bytes of a tensor's elements; 0 for what is no tensor: a number, a name, a flag."""
    if not isinstance(kind, ir.ShapedType):
        return 0
    elements = 1 if splat else prod(kind.get_dim_size(axis) for axis in range(kind.rank))
    return -(-elements * _bits(kind.element_type) // 8)


def _bits(kind: ir.Type) -> int:
    if isinstance(kind, ir.ComplexType):
        return 2 * _bits(kind.element_type)
    return int(kind.width) if isinstance(kind, ir.IntegerType | ir.FloatType) else _WIDEST

"""An operation of StableHLO that decides: which of its operands tie, and when (docs/protocol.md, 14.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from jax.extend.mlir import ir

from pol_jax.program.stablehlo import only_block
from pol_jax.protocol.ties import ExtremumTie, OrderTie, PairTie, Rounding, RoundingTie, Tie, WindowTie

_FLOATS: Final = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}
_PAIRS: Final = frozenset({"stablehlo.compare", "stablehlo.maximum", "stablehlo.minimum"})
_JUMPS: Final = {
    "stablehlo.sign": Rounding.SIGN,
    "stablehlo.floor": Rounding.WHOLE,
    "stablehlo.ceil": Rounding.WHOLE,
    "stablehlo.round_nearest_even": Rounding.HALF,
    "stablehlo.round_nearest_afz": Rounding.HALF,
}
_TOP_K: Final = frozenset({"TopK", "mhlo.topk", "stablehlo.dynamic_top_k"})
_LARGEST, _SMALLEST = frozenset({"GT", "GE"}), frozenset({"LT", "LE"})


@dataclass(frozen=True)
class Candidate:
    """A candidate has operands of an operation that may tie.

    Attributes:
        operands: the values.
        tie: makes the tie of them, once it is known what is observed of them.
    """

    operands: Sequence[Any]
    tie: Callable[..., Tie]


def candidates(operation: ir.Operation) -> Iterable[Candidate]:
    """Return the operands of an operation that may tie; nothing for an operation that does not decide."""
    find = _FINDERS.get(operation.name)
    return find(operation, list(operation.operands)) if find else ()


def float_type(value: Any) -> str | None:
    """Return the dtype of a value that an entry may replace; None for any other."""
    if not isinstance(value.type, ir.RankedTensorType) or not value.type.has_static_shape:
        return None
    return _FLOATS.get(str(value.type.element_type))


def _pair(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    # A value that is compared with itself is a test for NaN: it always ties, and rounding decides nothing.
    if float_type(operands[0]) and operands[0] != operands[1]:
        yield Candidate(operands, PairTie)


def _clamp(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    low, value, high = operands
    if float_type(value):
        yield Candidate((low, value), PairTie)
        yield Candidate((value, high), PairTie)


def _jump(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    if float_type(operands[0]):
        yield Candidate(operands, partial(RoundingTie, rounding=_JUMPS[operation.name]))


def _convert(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    kind = ir.RankedTensorType(operation.results[0].type).element_type
    if float_type(operands[0]) and isinstance(kind, ir.IntegerType):
        rounding = Rounding.SIGN if ir.IntegerType(kind).width == 1 else Rounding.WHOLE
        yield Candidate(operands, partial(RoundingTie, rounding=rounding))


def _top_k(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    called = ir.StringAttr(operation.attributes["call_target_name"]).value
    if called in _TOP_K and float_type(operands[0]):
        # These calls select along the last axis.
        axis = len(ir.RankedTensorType(operands[0].type).shape) - 1
        yield Candidate(operands[:1], partial(OrderTie, axis=axis))


def _sort(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    axis = ir.IntegerAttr(operation.attributes["dimension"]).value
    for operand in _deciding(operation, operands, interleaved=True)[0]:
        yield Candidate((operand,), partial(OrderTie, axis=axis))


def _reduce(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    axes = _integers(operation, "dimensions", 0, 0)
    # The other half of the operands are the initial values of the reduction.
    reaching, signs = _deciding(operation, operands[: len(operands) // 2], interleaved=False)
    for operand in reaching:
        yield Candidate((operand,), partial(ExtremumTie, axes=axes, signs=signs))


def _reduce_window(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    yield from _windows(operation, *_deciding(operation, operands[: len(operands) // 2], interleaved=False))


def _select_and_scatter(operation: ir.Operation, operands: Sequence[Any]) -> Iterator[Candidate]:
    yield from _windows(operation, *_deciding(operation, operands[:1], interleaved=True))


def _windows(operation: ir.Operation, inputs: Sequence[Any], signs: tuple[int, ...]) -> Iterator[Candidate]:
    for operand in inputs:
        rank = len(ir.RankedTensorType(operand.type).shape)
        dilated = (*_integers(operation, "base_dilations", rank, 1), *_integers(operation, "window_dilations", rank, 1))
        # Dilated windows are left out by section 14.2: whoever reads the sites must number the same ones.
        if set(dilated) == {1}:
            shape, strides = (_integers(operation, f"window_{each}", rank, 1) for each in ("dimensions", "strides"))
            flat = _integers(operation, "padding", 2 * rank, 0)
            padding = tuple(zip(flat[::2], flat[1::2], strict=True))
            yield Candidate((operand,), partial(WindowTie, shape=shape, strides=strides, padding=padding, signs=signs))


_FINDERS: Final[Mapping[str, Callable[[ir.Operation, Sequence[Any]], Iterator[Candidate]]]] = {
    **dict.fromkeys(_PAIRS, _pair),
    **dict.fromkeys(_JUMPS, _jump),
    "stablehlo.clamp": _clamp,
    "stablehlo.convert": _convert,
    "stablehlo.custom_call": _top_k,
    "stablehlo.sort": _sort,
    "stablehlo.reduce": _reduce,
    "stablehlo.reduce_window": _reduce_window,
    "stablehlo.select_and_scatter": _select_and_scatter,
}


def _deciding(
    operation: ir.Operation, inputs: Sequence[Any], *, interleaved: bool
) -> tuple[list[Any], tuple[int, ...]]:
    """Return the inputs that a comparison in the first region looks at, and the signs of what it looks for.

    Args:
        operation: with the region.
        inputs: that the region's arguments stand for.
        interleaved: whether both arguments of an input follow each other; else those of all inputs come twice.
    """
    block, count = only_block(operation.regions[0]), len(inputs)
    sources: dict[Any, set[int]] = {
        argument: {index // 2 if interleaved else index % count} for index, argument in enumerate(block.arguments)
    }
    reached, signs = set[int](), set[int]()
    for each in block:
        inner = each.operation
        flow = set[int]().union(*(sources.get(operand, set()) for operand in inner.operands))
        sources.update((result, flow) for result in inner.results)
        floating = bool(inner.operands) and float_type(inner.operands[0]) is not None
        if inner.name in _PAIRS and floating:
            reached |= flow
            signs |= _looks_for(inner)
    return [inputs[index] for index in sorted(reached) if float_type(inputs[index])], tuple(sorted(signs))


def _looks_for(operation: ir.Operation) -> set[int]:
    if operation.name != "stablehlo.compare":
        return {1 if operation.name == "stablehlo.maximum" else -1}
    direction = str(operation.attributes["comparison_direction"]).rstrip(">").split()[-1]
    # A test for equality seeks neither the largest nor the smallest element.
    return {1} if direction in _LARGEST else {-1} if direction in _SMALLEST else set()


def _integers(operation: ir.Operation, name: str, count: int, default: int) -> tuple[int, ...]:
    """Return the integers in an attribute, or this many defaults if it is left out."""
    if name not in operation.attributes:
        return (default,) * count
    found = operation.attributes[name]
    if isinstance(found, ir.DenseIntElementsAttr):
        return tuple(int(number) for number in np.array(found).ravel())
    return tuple(int(number) for number in ir.DenseI64ArrayAttr(found))

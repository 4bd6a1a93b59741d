"""What depends on what in a program: which arguments of a StableHLO module may flow into which results.

An over-approximation. Each operation lets all that goes in, or is used in its regions, flow into all that comes out;
only calls, loops and branches are followed slot by slot, since a step's whole state goes through them. So "depends"
means "may depend" (a batch times zero is a dependence), and "doesn't depend" is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from jax.extend.mlir import ir

from pol_jax.program.stablehlo import functions, only_block, operations

Mask: TypeAlias = int
"""A set of arguments, one bit each."""

_CALLS = {"func.call": "callee", "stablehlo.composite": "decomposition"}
"""Operations that are functions of the module, and where they name them."""


def dependences(module: ir.Module) -> tuple[frozenset[int], ...]:
    """For each result of a module's ``main``, the arguments that may flow into it.

    Raises:
        ValueError: no such function, one that calls itself, jumps between blocks, or nesting beyond all reason.
    """
    try:
        return tuple(frozenset(_bits(mask)) for mask in _Flow(module).function("main"))
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def ignored(depends: Sequence[frozenset[int]], leaves: int, batch: int, loss: int) -> str | None:
    """What a step program must depend on and does not, in words; None where all is well.

    Args:
        depends: for each result, the arguments (old leaves, batch, key) that may flow into it.
        leaves: how many leaves the state has; they are the first results too.
        batch: how many arrays a batch has.
        loss: which metric, behind the leaves, is the loss.
    """
    old, records = frozenset(range(leaves)), frozenset(range(leaves, leaves + batch))
    new = frozenset[int]().union(*depends[:leaves])
    if not new & records:
        return "the new state does not depend on the batch"
    if not new & old:
        return "the new state does not depend on the old state"
    if not depends[leaves + loss] & records:
        return "the loss does not depend on the batch"
    return None


class _Flow:
    """Flow through the functions of one module, each followed once."""

    def __init__(self, module: ir.Module) -> None:
        self._ahead = functions(module)
        self._done: dict[str, list[Mask]] = {}

    def function(self, name: str) -> list[Mask]:
        """What flows into each result of a function, in terms of its arguments."""
        if name not in self._done:
            if name not in self._ahead:
                raise ValueError(f"calls {name}, which it does not have or is in")
            (region,) = self._ahead.pop(name).regions
            count = len(only_block(region).arguments)
            self._done[name] = self._region(region, {}, [1 << at for at in range(count)], count)
        return self._done[name]

    def _region(self, region: Any, values: dict[Any, Mask], arguments: Sequence[Mask], free: int) -> list[Mask]:
        """What flows into that with which a region ends; ``values`` are those it can see, bits from ``free`` unused."""
        block = only_block(region)
        values.update(zip(block.arguments, arguments, strict=True))
        operands: list[Mask] = []
        for each in block:
            operation = each.operation
            operands = [values[operand] for operand in operation.operands]
            values.update(zip(operation.results, self._results(operation, operands, values, free), strict=True))
        return operands

    def _results(
        self, operation: ir.Operation, operands: list[Mask], values: dict[Any, Mask], free: int
    ) -> Sequence[Mask]:
        match operation.name:
            case "func.call" | "stablehlo.composite" as name:
                callee = ir.FlatSymbolRefAttr(operation.attributes[_CALLS[name]]).value
                return [_through(mask, 0, operands) for mask in self.function(callee)]
            case "stablehlo.while":
                return self._loop(operation, operands, values, free)
            case "stablehlo.case" | "stablehlo.if":
                branches = [self._region(region, values, [], free) for region in operation.regions]
                return [reduce(or_, masks, operands[0]) for masks in zip(*branches, strict=True)]
            case "stablehlo.optimization_barrier":
                return operands
        inside = (values.get(used, 0) for inner in operations(operation) for used in inner.operands)
        return [reduce(or_, inside, 0)] * len(operation.results)

    def _loop(
        self, operation: ir.Operation, operands: list[Mask], values: dict[Any, Mask], free: int
    ) -> Sequence[Mask]:
        """Follow the body once, with a bit for each slot; then go round until nothing new flows."""
        slots = [1 << (free + at) for at in range(len(operands))]
        condition, body = (self._region(each, values, slots, free + len(slots)) for each in operation.regions)
        before: list[Mask] = []
        while before != operands:
            before = operands
            operands = [old | _through(new, free, before) for old, new in zip(before, body, strict=True)]
        (decides,) = condition
        return [mask | _through(decides, free, operands) for mask in operands]


def _through(mask: Mask, first: int, values: Sequence[Mask]) -> Mask:
    """Replace the bits from ``first`` on by what they stand for."""
    return reduce(or_, (values[at] for at in _bits(mask >> first)), mask & ((1 << first) - 1))


def _bits(mask: Mask) -> list[int]:
    return [at for at in range(mask.bit_length()) if mask >> at & 1]

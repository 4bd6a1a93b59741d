"""This analysis finds which arguments of a StableHLO module may flow into which results (section 9).

It is an over-approximation. Each operation lets everything that goes in, or is used in its regions, flow into all that
comes out. Only calls, loops and branches are followed slot by slot, since a step's whole state goes through them.
Therefore "depends" means "may depend" (a batch times zero is a dependence), and "does not depend" is certain.

It also finds whose **bits are read**: where a floating-point value is converted to a type of other numbers bit for bit,
its last places count as much as its first ones, and no tolerance holds for what is made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from jax.extend.mlir import ir

from pol_jax.program.stablehlo import CALLS, functions, only_block, operations

Mask: TypeAlias = int
"""A mask is a set of arguments, one bit for each."""


def dependences(module: ir.Module) -> tuple[frozenset[int], ...]:
    """Return, for each result of a module's ``main``, the arguments that may flow into it.

    Raises:
        ValueError: the module has no ``main``, a function calls itself or jumps between blocks, or nesting is too deep.
    """
    return flow_of(module)[0]


def flow_of(module: ir.Module) -> tuple[tuple[frozenset[int], ...], frozenset[int]]:
    """Return the `dependences`, and the arguments that may flow into values whose bits are read.

    Raises:
        ValueError: as for `dependences`.
    """
    try:
        *results, read = _Flow(module).function("main")
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    return tuple(frozenset(_bits(mask)) for mask in results), frozenset(_bits(read))


def missing_dependence(depends: Sequence[frozenset[int]], leaves: int, batch: int, loss: int) -> str | None:
    """Return what a step program must depend on and does not, in words, or None if nothing is missing.

    Args:
        depends: for each result, the arguments (old leaves, batch, key) that may flow into it.
        leaves: number of leaves of the state; the new leaves are the first results.
        batch: number of arrays of a batch.
        loss: index of the loss among the metrics, which follow the leaves.
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
    """The flow through the functions of one module, each of which is followed only once.

    What is returned of an operation, a region or a function are the masks of its results, and after them one of all
    values in it whose bits are read.
    """

    def __init__(self, module: ir.Module) -> None:
        self._pending = functions(module)
        self._done: dict[str, list[Mask]] = {}

    def function(self, name: str) -> list[Mask]:
        """Return what flows into each result of a function, and into what it reads, in terms of its arguments."""
        if name not in self._done:
            # A function is taken out when it is begun, so one that calls itself is not found a second time.
            if name not in self._pending:
                raise ValueError(f"calls {name}, which is missing or calls itself")
            (region,) = self._pending.pop(name).regions
            count = len(only_block(region).arguments)
            self._done[name] = self._region(region, {}, [1 << index for index in range(count)], count)
        return self._done[name]

    def _region(self, region: Any, values: dict[Any, Mask], arguments: Sequence[Mask], free: int) -> list[Mask]:
        """Return what flows into the values that a region ends with, and into what is read in it.

        Args:
            region: the region of an operation.
            values: what flows into each value that the region can see; its own are added.
            arguments: what flows into each argument of the region's block.
            free: the first bit that no mask uses yet.
        """
        block = only_block(region)
        values.update(zip(block.arguments, arguments, strict=True))
        operands, read = list[Mask](), 0
        for each in block:
            operation = each.operation
            operands = [values[operand] for operand in operation.operands]
            *results, inside = self._results(operation, operands, values, free)
            values.update(zip(operation.results, results, strict=True))
            read |= inside
        return [*operands, read]

    def _results(
        self, operation: ir.Operation, operands: list[Mask], values: dict[Any, Mask], free: int
    ) -> Sequence[Mask]:
        """Return what flows into each result of an operation, and into what it reads."""
        match operation.name:
            case "func.call" | "stablehlo.composite" as name:
                callee = ir.FlatSymbolRefAttr(operation.attributes[CALLS[name]]).value
                return [_through(mask, 0, operands) for mask in self.function(callee)]
            case "stablehlo.while":
                return self._loop(operation, operands, values, free)
            case "stablehlo.case" | "stablehlo.if":
                branches = [self._region(region, values, [], free) for region in operation.regions]
                *results, read = (reduce(or_, masks, 0) for masks in zip(*branches, strict=True))
                # Which branch was taken shows in every result.
                return [*(operands[0] | mask for mask in results), read]
            case "sdy.manual_computation":  # written for one device, with a part of each operand
                (region,) = operation.regions
                return self._region(region, values, operands, free)
            case "stablehlo.optimization_barrier":
                return [*operands, 0]
        # Regions may use values from outside, which are no operands of the operation itself.
        every = list(operations(operation))
        mask = reduce(or_, (values.get(used, 0) for inner in every for used in inner.operands), 0)
        return [*[mask] * len(operation.results), mask if any(map(_reads_bits, every)) else 0]

    def _loop(
        self, operation: ir.Operation, operands: list[Mask], values: dict[Any, Mask], free: int
    ) -> Sequence[Mask]:
        """Return what flows into each result of a loop, and into what it reads.

        The body is followed once, with a bit of its own for each slot. Then the slots are replaced by what flows into
        them, again and again, until nothing new is added. That ends, because masks only grow.
        """
        slots = [1 << (free + index) for index in range(len(operands))]
        condition, body = (self._region(each, values, slots, free + len(slots)) for each in operation.regions)
        (decides, of_condition), (*carried, of_body) = condition, body
        before: list[Mask] = []
        while before != operands:
            before = operands
            operands = [old | _through(new, free, before) for old, new in zip(before, carried, strict=True)]
        read = _through(of_condition | of_body, free, operands)
        # How often a loop turns shows in every result, and its condition decides that.
        return [*(mask | _through(decides, free, operands) for mask in operands), read]


def _reads_bits(operation: ir.Operation) -> bool:
    """Return whether an operation takes a floating-point value bit for bit for something else."""
    if operation.name != "stablehlo.bitcast_convert":
        return False
    given, made = (each.type.element_type for each in (operation.operands[0], operation.results[0]))
    return isinstance(given, ir.FloatType | ir.ComplexType) and given != made


def _through(mask: Mask, first: int, values: Sequence[Mask]) -> Mask:
    """Return a mask in which the bits from ``first`` on are replaced by what they stand for."""
    return reduce(or_, (values[index] for index in _bits(mask >> first)), mask & ((1 << first) - 1))


def _bits(mask: Mask) -> list[int]:
    return [index for index in range(mask.bit_length()) if mask >> index & 1]

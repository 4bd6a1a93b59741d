"""A step program is instrumented: it shows the operands of its decisions, and takes other values for some of them.

Behind each operand that is a site, the module gets a selection: where the caller gives a value, that one is used by
everything that follows, and elsewhere the program's own. What is shown is the program's own value. An operand in a
loop or branch has a buffer with a place for each execution, which is carried through all of them with a counter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

from pol_jax.program.decision_sites import DecisionMap, Located, is_branching
from pol_jax.program.inlining import replace_operation
from pol_jax.program.stablehlo import functions, only_block, operations

BITS: Final[Mapping[str, type[np.unsignedinteger[Any]]]] = {
    "float16": np.uint16,
    "bfloat16": np.uint16,
    "float32": np.uint32,
    "float64": np.uint64,
}
"""Given values are passed as their bits: a compiler that takes NaN for impossible must not see one."""


@dataclass
class _CarriedBuffer:
    """This is what is carried of a nested operand: its buffer, and how many executions there were so far."""

    buffer: Any
    count: Any


_CarriedBuffers = dict[int, _CarriedBuffer]


def own_bits(dtype: str) -> int:
    """Return the bits that say "your own value": a NaN, which no entry can give."""
    return int(np.iinfo(BITS[dtype]).max)


def instrument(module: ir.Module, found: DecisionMap, capacity: int) -> None:
    """Instrument a module in place, in which ``found`` was found.

    ``main`` takes one array more for each site, in order: the bits of the values to use instead, or `own_bits`. Behind
    its results come the values of every shown operand, and then, for each nested one, the number of its executions.
    Arrays of a nested operand have ``capacity + 1`` rows; the last one is for executions beyond the capacity.

    Args:
        module: the module.
        found: its decisions.
        capacity: executions of a nested operand that are kept.
    """
    main = functions(module)["main"]
    _Instrumenter(main, found, capacity).rewrite()


class _Instrumenter:
    """Rewrites one ``main``; operands are named by their place among those that are shown."""

    def __init__(self, main: ir.Operation, found: DecisionMap, capacity: int) -> None:
        self._main, self._capacity = main, capacity
        self._block = only_block(main.regions[0])
        self._located = found.located
        self._values = [each.value for each in found.located]  # changes when what gives a value is replaced
        self._by_block: dict[ir.Block, list[int]] = {}
        for place, each in enumerate(found.located):
            self._by_block.setdefault(each.block, []).append(place)
        self._given = dict[int, Any]()
        self._shown = dict[int, Any]()

    def rewrite(self) -> None:
        """Rewrite ``main`` and all blocks inside."""
        with self._main.location:
            for place, each in enumerate(self._located):
                if each.shown.site is not None:
                    kind = self._tensor(each, _unsigned(each.shown.dtype))
                    self._given[place] = self._block.add_argument(kind, self._main.location)
            states: _CarriedBuffers = {}
            with ir.InsertionPoint.at_block_begin(self._block):
                for place, each in enumerate(self._located):
                    if each.shown.nested:
                        states[place] = self._first_buffer(each)
            states = self._rewrite_block(self._block, states)
            self._shown.update((place, state.buffer) for place, state in states.items())
            self._finish([state.count for _, state in sorted(states.items())])

    def _finish(self, counts: Sequence[Any]) -> None:
        """Return what is shown, and give ``main`` its new type."""
        shown = [self._shown[place] for place in range(len(self._located))]
        results = self._extend_end(self._block, "func.return", [*shown, *counts])
        takes, gives = [each.type for each in self._block.arguments], [each.type for each in results]
        self._main.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(takes, gives))
        for name, count in (("arg_attrs", len(takes)), ("res_attrs", len(gives))):
            if name in self._main.attributes:
                have = list(ir.ArrayAttr(self._main.attributes[name]))
                # MLIR demands an entry for each argument and each result.
                have += [ir.DictAttr.get({})] * (count - len(have))
                self._main.attributes[name] = ir.ArrayAttr.get(have)

    def _rewrite_block(self, block: ir.Block, states: _CarriedBuffers) -> _CarriedBuffers:
        """Rewrite a block, and return what is carried at its end."""
        places, original = self._by_block.get(block, []), list(block)
        results = {result for each in original for result in each.operation.results}
        for place in places:
            if self._values[place] not in results:  # an argument of the block, or from outside
                self._place(place, block, ir.InsertionPoint(original[0]), states)
        for at, each in enumerate(original):
            operation = each.operation
            if is_branching(operation):
                operation = self._rewrite_branching(operation, states)
            given = set(operation.results)
            for place in places:
                if self._values[place] in given:
                    self._place(place, block, ir.InsertionPoint(original[at + 1]), states)
        return states

    def _rewrite_branching(self, operation: ir.Operation, states: _CarriedBuffers) -> ir.Operation:
        """Carry what lies inside of a loop or of branches through it; ``states`` are then those after it."""
        blocks = [only_block(region) for region in operation.regions]
        inside = sorted(place for each in operations(operation) if is_branching(each) for place in self._within(each))
        if not inside:
            return operation
        carried = [value for place in inside for value in (states[place].buffer, states[place].count)]
        kinds = [value.type for value in carried]
        loop = operation.name == "stablehlo.while"
        for block in blocks:
            # Only loops pass values on as arguments; a branch sees those outside of it directly.
            values = [block.add_argument(kind, operation.location) for kind in kinds] if loop else carried
            if not loop or block == blocks[1]:
                end = self._rewrite_block(block, _carried_buffers(inside, values))
                self._extend_end(block, "stablehlo.return", _flat(inside, end))
        moved = {place: list(operation.results).index(value) for place, value in self._results_of(operation)}
        new = replace_operation(operation, [*operation.operands, *(carried if loop else ())], kinds)
        for place, index in moved.items():
            self._values[place] = new.results[index]
        states.update(_carried_buffers(inside, list(new.results)[-len(kinds) :]))
        return new

    def _within(self, operation: ir.Operation) -> list[int]:
        """Return the operands that are shown directly in the regions of an operation."""
        return [place for region in operation.regions for place in self._by_block.get(only_block(region), [])]

    def _results_of(self, operation: ir.Operation) -> list[tuple[int, Any]]:
        results = set(operation.results)
        return [(place, value) for place, value in enumerate(self._values) if value in results]

    def _place(self, place: int, block: ir.Block, where: ir.InsertionPoint, states: _CarriedBuffers) -> None:
        """Show an operand, and use the given value for all that follows, where one is given."""
        each, value = self._located[place], self._values[place]
        own, given = value, self._given.get(place)
        with where:
            before = set[Any]()
            if each.shown.nested:
                state = states[place]
                # Executions beyond the capacity overwrite the last row, which nobody reads; the count tells of them.
                row = stablehlo.minimum(state.count, self._constant(self._capacity))
                zero = self._constant(0)
                starts = [row, *[zero] * len(each.shown.shape)]
                kind = ir.RankedTensorType.get([1, *each.shown.shape], value.type.element_type)
                update = stablehlo.reshape(kind, own)
                before.add(update.owner)
                if given is not None:
                    sizes = ir.DenseI64ArrayAttr.get([1, *each.shown.shape])
                    rows = stablehlo.dynamic_slice(given, starts, sizes)
                    flat = ir.RankedTensorType.get(each.shown.shape, _unsigned(each.shown.dtype))
                    given = stablehlo.reshape(flat, rows)
                states[place] = _CarriedBuffer(
                    stablehlo.dynamic_update_slice(state.buffer, update, starts),
                    stablehlo.add(state.count, self._constant(1)),
                )
            else:
                self._shown[place] = own
            if given is None:
                return
            chosen = self._choose(each, own, given)
        # What shows the operand's own value must go on reading that one.
        self._use_instead(place, block, chosen, {*before, chosen.owner})

    def _choose(self, each: Located, own: Any, given: Any) -> Any:
        """Return the given values where there are any, and the program's own elsewhere."""
        bits = np.array(own_bits(each.shown.dtype), BITS[each.shown.dtype])
        element: Any = ir.DenseElementsAttr
        nothing = stablehlo.constant(element.get(bits, type=_unsigned(each.shown.dtype), shape=[]))
        sentinel = stablehlo.broadcast_in_dim(given.type, nothing, ir.DenseI64ArrayAttr.get([]))
        direction = stablehlo.ComparisonDirectionAttr.get("EQ")
        # As integers: a NaN is equal to nothing, not even to the one that says "your own value".
        kind = stablehlo.ComparisonTypeAttr.get("UNSIGNED")
        is_own = stablehlo.compare(given, sentinel, direction, compare_type=kind)
        return stablehlo.select(is_own, own, stablehlo.bitcast_convert(own.type, given))

    def _use_instead(self, place: int, block: ir.Block, chosen: Any, ours: set[Any]) -> None:
        """Let everything in a block use ``chosen`` in the place of an operand's own value."""
        value = self._values[place]
        for use in list(value.uses):
            owner = use.owner.operation
            if not any(owner == each.operation for each in ours) and _lies_in(owner, block):
                owner.operands[use.operand_number] = chosen
        for other, each in enumerate(self._located):
            # A value may be an operand of several decisions: those in blocks further in show what is used by then.
            if other != place and self._values[other] == value and _lies_in(each.block.owner.operation, block):
                self._values[other] = chosen

    def _first_buffer(self, each: Located) -> _CarriedBuffer:
        kind = self._tensor(each, each.value.type.element_type)
        zero = stablehlo.constant(ir.DenseElementsAttr.get_splat(kind, ir.FloatAttr.get(kind.element_type, 0.0)))
        return _CarriedBuffer(zero, self._constant(0))

    def _tensor(self, each: Located, element: Any) -> Any:
        rows = [self._capacity + 1] if each.shown.nested else []
        return ir.RankedTensorType.get([*rows, *each.shown.shape], element)

    def _constant(self, number: int) -> Any:
        kind = ir.RankedTensorType.get([], ir.IntegerType.get_signless(32))
        return stablehlo.constant(ir.DenseElementsAttr.get_splat(kind, ir.IntegerAttr.get(kind.element_type, number)))

    def _extend_end(self, block: ir.Block, name: str, added: Sequence[Any]) -> list[Any]:
        """Let a block end with more values, and return all of them."""
        end = block.operations[len(block.operations) - 1].operation
        values = [*end.operands, *added]
        with ir.InsertionPoint(end), end.location:
            ir.Operation.create(name, operands=values)
        end.erase()
        return values


def _carried_buffers(places: Sequence[int], values: Sequence[Any]) -> _CarriedBuffers:
    return {place: _CarriedBuffer(values[2 * at], values[2 * at + 1]) for at, place in enumerate(places)}


def _flat(places: Sequence[int], states: _CarriedBuffers) -> list[Any]:
    return [value for place in places for value in (states[place].buffer, states[place].count)]


def _unsigned(dtype: str) -> Any:
    return ir.IntegerType.get_unsigned(8 * np.dtype(BITS[dtype]).itemsize)


def _lies_in(operation: ir.Operation, block: ir.Block) -> bool:
    while operation is not None:
        if operation.block == block:
            return True
        parent = operation.parent
        if parent is None or parent.operation.name == "func.func":
            return False
        operation = parent.operation
    return False

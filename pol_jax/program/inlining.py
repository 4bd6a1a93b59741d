"""A module is rewritten so that all of a step lies in ``main``, where each execution of an operation can be followed.

Functions are written out where they are called, and the condition of a loop that compares numbers is moved into the
body, since a condition can give nothing but its answer. Nothing is computed in another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

from pol_jax.program.stablehlo import CALLS, functions, only_block, operations

MOST_OPERATIONS: Final = 200_000
"""Functions that call each other twice grow without end when they are written out; beyond this, it isn't tried."""


def inline_calls(module: ir.Module) -> ir.Block:
    """Write out every function where it is called, and return the block of ``main``.

    Raises:
        ValueError: there is no ``main``, a function is missing or calls itself, or the result would be too large.
    """
    named = functions(module)
    if "main" not in named:
        raise ValueError("has no main")
    sizes = dict[str, int]()
    # Before anything is copied: thirty functions, each of which calls the next one twice, stand for a billion calls.
    _check_size("main", named, sizes, ())
    _Inliner(named).inline("main")
    return only_block(named["main"].regions[0])


def clone_into(operation: ir.Operation, values: MutableMapping[Any, Any]) -> ir.Operation:
    """Clone an operation at the insertion point, with operands replaced as ``values`` says, and add its results."""
    copy: ir.Operation = operation.clone().operation
    for inner in operations(copy):
        for index, operand in enumerate(inner.operands):
            if operand in values:
                inner.operands[index] = values[operand]
    values.update(zip(operation.results, copy.results, strict=True))
    return copy


def rotate_loop(loop: ir.Operation) -> tuple[ir.Operation, list[ir.Operation]]:
    """Evaluate the condition of a loop before the loop, and at the end of each turn.

    The loop carries the answer as its last value. Its condition has nothing left to compute.

    Returns:
        The new loop, and the operations before it that evaluate the condition.
    """
    condition, body = (only_block(region) for region in loop.regions)
    boolean = condition.operations[len(condition.operations) - 1].operands[0].type
    with ir.InsertionPoint(loop), loop.location:
        first, before = _evaluate(condition, loop.operands)
    end = body.operations[len(body.operations) - 1].operation
    with ir.InsertionPoint(end), loop.location:
        then, _ = _evaluate(condition, end.operands)
        stablehlo.return_([*end.operands, then])
    end.erase()
    # From the end: MLIR erases no operation whose results are still used.
    for each in reversed(list(condition)):
        each.operation.erase()
    answer = condition.add_argument(boolean, loop.location)
    body.add_argument(boolean, loop.location)
    with ir.InsertionPoint(condition), loop.location:
        stablehlo.return_([answer])
    return replace_operation(loop, [*loop.operands, first], [boolean]), before


def replace_operation(operation: ir.Operation, operands: list[Any], added: list[Any]) -> ir.Operation:
    """Put in an operation's place the same one with other operands, and with more results after its own."""
    attributes = {each.name: each.attr for each in _named(operation)}
    with ir.InsertionPoint(operation), operation.location:
        new = ir.Operation.create(
            operation.name,
            results=[*(result.type for result in operation.results), *added],
            operands=operands,
            attributes=attributes,
            regions=len(operation.regions),
        )
    for old, region in zip(operation.regions, new.regions, strict=True):
        only_block(old).append_to(region)
    for result, by in zip(operation.results, new.results, strict=False):
        result.replace_all_uses_with(by)
    operation.erase()
    return new


def _named(operation: ir.Operation) -> list[Any]:
    return [operation.attributes[index] for index in range(len(operation.attributes))]


def _evaluate(block: ir.Block, operands: Iterable[Any]) -> tuple[Any, list[ir.Operation]]:
    """Clone a condition at the insertion point; return its answer, and the clones."""
    values: dict[Any, Any] = dict(zip(block.arguments, operands, strict=True))
    *before, end = list(block)
    clones = [clone_into(each.operation, values) for each in before]
    answer = end.operation.operands[0]
    return values.get(answer, answer), clones


def _check_size(name: str, named: Mapping[str, ir.Operation], sizes: dict[str, int], above: tuple[str, ...]) -> int:
    """Return how many operations a function has when it is written out."""
    if name in above or name not in named:
        raise ValueError(f"calls {name}, which is missing or calls itself")
    # Each function is counted once: to count by walking the calls would take as long as to write them out.
    if name not in sizes:
        total = 0
        for each in operations(named[name]):
            callee = _callee(each)
            total += 1 if callee is None else _check_size(callee, named, sizes, (*above, name))
        if total > MOST_OPERATIONS:
            raise ValueError(f"has more than {MOST_OPERATIONS} operations when its functions are written out")
        sizes[name] = total
    return sizes[name]


def _callee(operation: ir.Operation) -> str | None:
    attribute = CALLS.get(operation.name)
    return ir.FlatSymbolRefAttr(operation.attributes[attribute]).value if attribute else None


class _Inliner:
    """Writes out functions, each of them once; then its calls are replaced by copies."""

    def __init__(self, named: Mapping[str, ir.Operation]) -> None:
        self._named, self._done = named, set[str]()

    def inline(self, name: str) -> ir.Block:
        """Write out all calls in a function, and return its block."""
        block = only_block(self._named[name].regions[0])
        if name not in self._done:
            for each in list(operations(self._named[name])):
                callee = _callee(each)
                if callee is not None:
                    # The callee is written out before it is copied, so that each function is walked once.
                    self._replace(each, self.inline(callee))
            self._done.add(name)
        return block

    def _replace(self, call: ir.Operation, body: ir.Block) -> None:
        values: dict[Any, Any] = dict(zip(body.arguments, call.operands, strict=True))
        *inside, end = list(body)
        with ir.InsertionPoint(call):
            for each in inside:
                clone_into(each.operation, values)
        for result, operand in zip(call.results, end.operation.operands, strict=True):
            result.replace_all_uses_with(values.get(operand, operand))
        call.erase()

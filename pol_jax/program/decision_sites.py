"""A reader finds the decisions of a step program: operations whose results jump where operands tie (section 14.2).

An operand that is computed in floating point is a **site**: there, and nowhere else, an entry of an opening may put the
prover's value. Sites have numbers in the order in which the program reads, once its functions are written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np
from jax.extend.mlir import ir

from pol_jax.program.decision_operations import candidates, float_type
from pol_jax.program.inlining import MOST_OPERATIONS, inline_calls, rotate_loop
from pol_jax.program.stablehlo import only_block, operations
from pol_jax.protocol.ties import (
    Observed,
    Operand,
    Tie,
)
from pol_jax.protocol.trees import DTYPES

_DRAWN_OR_CALLED: Final = frozenset({"stablehlo.rng_bit_generator", "stablehlo.custom_call"})
_BRANCHING: Final = frozenset({"stablehlo.while", "stablehlo.case", "stablehlo.if"})


@dataclass(frozen=True)
class Shown:
    """A shown operand is one whose values an instrumented program returns.

    Attributes:
        shape: of the operand.
        dtype: its name.
        site: its number, where an entry may replace its values; None for one that is only looked at.
        nested: whether it is in a loop or branch, so that it may have several values in one step, or none.
        operation: the first decision operation that takes it.
    """

    shape: tuple[int, ...]
    dtype: str
    site: int | None
    nested: bool
    operation: str

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Return the size in bytes."""
        return self.size * DTYPES[self.dtype].itemsize


@dataclass(frozen=True)
class Decider:
    """A decider is a decision operation: its name, and which of its operands tie when."""

    operation: str
    tie: Tie


@dataclass(frozen=True)
class Located:
    """A located operand is one that is shown, with its place in the module.

    Attributes:
        shown: what is known of it outside.
        value: the operand.
        block: in which its decision operation stands.
    """

    shown: Shown
    value: Any
    block: ir.Block


@dataclass
class DecisionMap:
    """A decision map has what was found in a module, in order."""

    located: list[Located] = field(default_factory=list)
    deciders: list[Decider] = field(default_factory=list)

    @property
    def sites(self) -> list[Shown]:
        """Return the sites, by number."""
        return [each.shown for each in self.located if each.shown.site is not None]


def find_decisions(module: ir.Module) -> DecisionMap:
    """Write out the functions of a module, in place, and find its decisions.

    Raises:
        ValueError: the module can't be followed: it is too large or odd.
    """
    main = inline_calls(module)
    _Rotation().rotate_loops(main)
    finder = _Finder(main)
    finder.read(main)
    return finder.found


def is_branching(operation: ir.Operation) -> bool:
    """Return whether an operation executes its regions a number of times that data decide."""
    return operation.name in _BRANCHING


class _Rotation:
    """Rotates loops, as long as the module does not grow too large."""

    def __init__(self) -> None:
        self._added = 0

    def rotate_loops(self, block: ir.Block) -> None:
        """Rotate the loops of a block whose condition decides on floating-point numbers, and those inside of them."""
        pending = [each.operation for each in block]
        while pending:
            operation = pending.pop()
            if operation.name == "stablehlo.while":
                condition = only_block(operation.regions[0])
                if any(_decides(inner) for outer in condition for inner in operations(outer.operation)):
                    # Nothing can be shown or given within a condition, since it returns its answer and nothing else.
                    operation, before = rotate_loop(operation)
                    self._count(before)
                    # A loop that stood in the condition stands before this one now, and in its body.
                    pending += before
            if is_branching(operation):
                for region in operation.regions:
                    self.rotate_loops(only_block(region))

    def _count(self, added: list[ir.Operation]) -> None:
        """Refuse a module that grows without end: of loops in conditions of loops, each doubles those inside of it."""
        self._added += sum(1 for each in added for _ in operations(each))
        if self._added > MOST_OPERATIONS:
            raise ValueError(f"has more than {MOST_OPERATIONS} operations when its conditions are written out")


def _decides(operation: ir.Operation) -> bool:
    return any(True for _ in candidates(operation))


class _Finder:
    """Reads blocks in order, and numbers what it finds."""

    def __init__(self, main: ir.Block) -> None:
        self.found = DecisionMap()
        self._main, self._given = main, set(main.arguments)
        self._constants, self._numbers = set[Any](), count()
        self._places: dict[tuple[Any, ir.Block], Observed] = {}

    def read(self, block: ir.Block) -> None:
        """Find the decisions of a block and of the blocks inside."""
        for each in block:
            operation = each.operation
            if self._is_constant(operation):
                self._constants.update(operation.results)
            if is_branching(operation):
                for region in operation.regions:
                    self.read(only_block(region))
            else:
                for candidate in candidates(operation):
                    # One operand that is computed is enough: a comparison with an argument turns over as well.
                    if any(self._may_differ(operand) for operand in candidate.operands):
                        tie = candidate.tie(
                            *(self._operand(operand, block, operation.name) for operand in candidate.operands)
                        )
                        self.found.deciders.append(Decider(operation.name, tie))

    def _may_differ(self, value: Any) -> bool:
        """Return whether a value is computed, so that rounding may change it."""
        return float_type(value) is not None and value not in self._given and value not in self._constants

    def _is_constant(self, operation: ir.Operation) -> bool:
        """Return whether the results of an operation depend on nothing that a program is given."""
        # An argument, such as what a loop carries, is not constant, though it may begin as a constant (section 14.2).
        # Operands were read before: to walk back from each value would take the square of the time.
        return (
            not len(operation.regions)
            and operation.name not in _DRAWN_OR_CALLED
            and all(operand in self._constants for operand in operation.operands)
        )

    def _operand(self, value: Any, block: ir.Block, operation: str) -> Operand:
        # A number that is known need not be shown, such as the 0 of a ReLU, however large its array is.
        repeated = _splat(value)
        if repeated is not None:
            return repeated
        # One number for each block in which something decides on the value (section 14.2).
        if (value, block) not in self._places:
            kind = ir.RankedTensorType(value.type)
            number = next(self._numbers) if self._may_differ(value) else None
            shown = Shown(tuple(kind.shape), float_type(value) or "", number, block != self._main, operation)
            self._places[value, block] = Observed(len(self.found.located))
            self.found.located.append(Located(shown, value, block))
        return self._places[value, block]


def _splat(value: Any) -> float | None:
    """Return the number that a constant repeats; None for any other value."""
    while not isinstance(value.owner, ir.Block):
        operation = value.owner.operation
        if operation.name == "stablehlo.constant":
            content = operation.attributes["value"]
            if not isinstance(content, ir.DenseElementsAttr) or not content.is_splat:
                return None
            number = content.get_splat_value()
            return float(number.value) if isinstance(number, ir.FloatAttr | ir.IntegerAttr) else None
        if operation.name not in ("stablehlo.broadcast_in_dim", "stablehlo.reshape", "stablehlo.convert"):
            return None
        value = operation.operands[0]
    return None

"""A decision of a program is what an operation on numbers comes to; near a tie, rounding decides it (section 14.2).

These are the kinds of ties, as data: which operands of which operation are near a tie when. The program's reader finds
them (`pol_jax.program.decision_sites`), and their distances are measured elsewhere (`pol_jax.judging.tie_distances`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Rounding(Enum):
    """This enumeration names the operations of one operand that jump, by where their ties are."""

    SIGN = "0"
    WHOLE = "integers"
    HALF = "halves"


@dataclass(frozen=True)
class Observed:
    """An observed operand is one whose values an instrumented program shows.

    Attributes:
        place: among all observed operands of the program, from 0.
    """

    place: int


Operand = Observed | float
"""An operand of a decision is observed, or a constant that repeats one number."""


@dataclass(frozen=True)
class PairTie:
    """Two operands tie, element by element, where they are equal: compare, maximum, minimum, clamp."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class RoundingTie:
    """One operand ties with a number at which the operation jumps: sign, floor, ceil, round, conversion to integers."""

    operand: Operand
    rounding: Rounding


@dataclass(frozen=True)
class ExtremumTie:
    """Elements along axes tie with the largest of them, or the smallest: reduce by maximum, argmax.

    Attributes:
        operand: what is reduced.
        axes: along which.
        signs: 1 where the largest is chosen, -1 where the smallest is.
    """

    operand: Operand
    axes: tuple[int, ...]
    signs: tuple[int, ...]


@dataclass(frozen=True)
class OrderTie:
    """Elements along an axis tie with those that follow or precede them in order: sort, top-k."""

    operand: Operand
    axis: int


@dataclass(frozen=True)
class WindowTie:
    """Elements tie with the largest or smallest of a window: reduce_window, select_and_scatter.

    Attributes:
        operand: over which the window moves.
        shape: of the window.
        strides: of the window.
        padding: before and after each axis.
        signs: 1 where the largest is chosen, -1 where the smallest is.
    """

    operand: Operand
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    signs: tuple[int, ...]


Tie = PairTie | RoundingTie | ExtremumTie | OrderTie | WindowTie

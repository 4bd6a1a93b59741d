"""An axis says where a value is drawn, and which values are written beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_TIMES = (1, 2, 5)
"""A round number is a power of ten times one of these."""

_FACTOR, _DECADES = 0.7, 3.0
"""A logarithmic axis shorter than the first number of decades has ticks of equal distance, one longer than the second
has powers of ten, and one between them has 1, 2 and 5 times powers of ten."""

_ROOM, _LEAST_ROOM = 0.06, 0.01
"""The room around the values is a share of what they span, and at least a share of their size, so that values that
hardly change are drawn as a flat line."""

_LETTER, _GAP, _WIDTH = 7, 14, 216
"""In pixels, these are the width of a letter, the gap between two labels, and the room for all on a narrow phone."""

_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


@dataclass(frozen=True)
class Axis:
    """An axis goes from ``low`` to ``high``, and is linear or logarithmic.

    Attributes:
        low: the smallest value; positive, if the axis is logarithmic.
        high: the largest; greater than ``low``.
        logarithmic: whether equal distances are equal factors.
    """

    low: float
    high: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value, in percent of the axis."""
        low, high, value = map(self._scaled, (self.low, self.high, value))
        return 100 * (value - low) / (high - low)

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values on the axis.

        Their distances are equal; on a long logarithmic axis, their factors are about equal instead.
        """
        factor = self._scaled(self.high) - self._scaled(self.low)
        if self.logarithmic and factor >= _FACTOR:
            return self._decades(most) if factor >= _DECADES else self._halves()
        step = _round_step((self.high - self.low) / most)
        # The small numbers keep a tick at the very end of the axis from being lost to rounding.
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def name(self, tick: float) -> str:
        """Return how a tick is written; on a logarithmic axis, small and large powers of ten have an exponent."""
        power = round(math.log10(tick)) if self.logarithmic else 0
        if -1 <= power <= 3 or not math.isclose(tick, 10.0**power, rel_tol=1e-9):
            return number(tick)
        return f"10{str(power).translate(_RAISED)}"

    def _decades(self, most: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, -(-(last - first + 1) // most))
        first = -(-first // every) * every  # a multiple of the distance, so that 1 is a tick if it lies on the axis
        return [10.0**power for power in range(first, last + 1, every)]

    def _halves(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        ticks = [times * 10.0**power for power in powers for times in _TIMES]
        return [tick for tick in ticks if self.low <= tick <= self.high]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def axis_of(values: Iterable[float], *, logarithmic: bool = False) -> Axis:
    """Return an axis on which all of these finite values lie, with some room around them."""
    drawn = list(values)
    low, high = min(drawn), max(drawn)
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    size = 1.0 if logarithmic else max(abs(low), abs(high))
    room = max((high - low) * _ROOM, size * _LEAST_ROOM) or 1.0
    low, high = low - room, high + room
    return Axis(_power(low), _power(high), logarithmic=True) if logarithmic else Axis(low, high)


def number(value: float) -> str:
    """Return a value as it is written beside an axis or in a sentence."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return re.sub(r"e([+-])0(?=\d)", r"e\1", f"{value:.4g}")


def labels(names: Sequence[str], places: Sequence[float]) -> list[tuple[str, str, str]]:
    """Return the names to write under an axis: as many as a narrow phone has room for.

    Each comes with its place, and with the part of it that is at this place.
    """
    room = max(1, _WIDTH // (_LETTER * max(map(len, names), default=0) + _GAP))
    every = max(1, -(-len(names) // room))
    pairs = zip(names[::every], places[::every], strict=True)
    return [(name, f"{place:.2f}%", "end" if place > 97 else "middle") for name, place in pairs]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, ... that is not less than ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((each * power for each in _TIMES if each * power >= least * (1 - 1e-9)), 10 * power)


def _power(exponent: float) -> float:
    """Return a power of ten, kept within what a double can hold."""
    return float(10.0 ** min(max(exponent, -307.0), 308.0))

"""Where a value lies on an axis, and which values to write beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_TIMES = (1, 2, 5)
"""What a power of ten is multiplied by to be a round number."""

_FACTOR, _DECADES = 0.7, 3.0
"""How many decades a logarithmic axis has from which equal distances say little, and from which powers of ten do."""

_ROOM, _LEAST_ROOM = 0.06, 0.01
"""Beside the values: of what they span; and of their size, so that what hardly changes is drawn as a flat line."""

_LETTER, _GAP, _WIDTH = 7, 14, 216
"""Of labels side by side: pixels for a letter and between two of them, and for all on a narrow phone."""

_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis from ``low`` to ``high``.

    Attributes:
        low: the smallest value; positive, if the axis is logarithmic.
        high: the largest; greater than ``low``.
        logarithmic: whether equal distances are equal factors.
    """

    low: float
    high: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The place of a value, in percent of the axis."""
        low, high, value = map(self._scaled, (self.low, self.high, value))
        return 100 * (value - low) / (high - low)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values on the axis: of equal distance; on a logarithmic axis, if it is long, of about equal factors."""
        factor = self._scaled(self.high) - self._scaled(self.low)
        if self.logarithmic and factor >= _FACTOR:
            return self._decades(most) if factor >= _DECADES else self._halves()
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def name(self, tick: float) -> str:
        """How a tick is written: on a logarithmic axis, small and large powers of ten as such."""
        power = round(math.log10(tick)) if self.logarithmic else 0
        if -1 <= power <= 3 or not math.isclose(tick, 10.0**power, rel_tol=1e-9):
            return number(tick)
        return f"10{str(power).translate(_RAISED)}"

    def _decades(self, most: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, -(-(last - first + 1) // most))
        return [10.0**power for power in range(-(-first // every) * every, last + 1, every)]  # 1 is one, if it is there

    def _halves(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = [times * 10.0**power for power in powers for times in _TIMES]
        return [tick for tick in found if self.low <= tick <= self.high]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def axis_of(values: Iterable[float], *, logarithmic: bool = False) -> Axis:
    """An axis on which all of some finite values lie, with some room around them."""
    found = list(values)
    low, high = min(found), max(found)
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    size = 1.0 if logarithmic else max(abs(low), abs(high))
    room = max((high - low) * _ROOM, size * _LEAST_ROOM) or 1.0
    low, high = low - room, high + room
    return Axis(_power(low), _power(high), logarithmic=True) if logarithmic else Axis(low, high)


def number(value: float) -> str:
    """A value as it is written beside an axis or in a sentence."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return re.sub(r"e([+-])0(?=\d)", r"e\1", f"{value:.4g}")


def labels(names: Sequence[str], places: Sequence[float]) -> list[tuple[str, str, str]]:
    """Under an axis: as many names as a narrow phone has room for, where each lies, and which end of it lies there."""
    room = max(1, _WIDTH // (_LETTER * max(map(len, names), default=0) + _GAP))
    every = max(1, -(-len(names) // room))
    pairs = zip(names[::every], places[::every], strict=True)
    return [(name, f"{at:.2f}%", "end" if at > 97 else "middle") for name, at in pairs]


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((each * power for each in _TIMES if each * power >= least * (1 - 1e-9)), 10 * power)


def _power(exponent: float) -> float:
    """A power of ten that a double can hold."""
    return float(10.0 ** min(max(exponent, -307.0), 308.0))
